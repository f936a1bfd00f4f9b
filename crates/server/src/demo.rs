//! What `merx up` makes up once for each data folder: accounts with fresh passwords, sandbox keys, a catalogue with
//! stock, and what was bought before. Every step has an identity made beforehand, so that a start killed half-way is
//! finished by the next.

mod catalogue;
pub mod history;
mod pictures;

use std::path::Path;

use futures_util::future::try_join_all;
use merx_accounts::{
    Password,
    commands::create_account::{CreateAccount, create_account},
    domain::email::Email,
};
use merx_alipay::{PrivateKey, PublicKey};
use merx_kernel::{BoundedText, Entropy, Error, Result, Role};
use merx_sql::Db;
use serde::{Deserialize, Serialize};

use crate::{config::Config, files, shop::Shop};

/// The application of the demo at the sandbox.
pub const APP_ID: &str = "2021000000000001";
/// The account that is paid at the sandbox.
pub const SELLER_ID: &str = "2088000000000001";

/// One demo account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemoAccount {
    /// What it is.
    pub role: Role,
    /// Log-in name.
    pub email: String,
    /// Made afresh for this data folder.
    pub password: String,
}

/// Where a demo listens and stores.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DemoPlace {
    /// The API.
    pub api_url: String,
    /// The sandbox.
    pub sandbox_url: String,
    /// The mail viewer.
    pub mail_url: String,
    /// The internal gRPC port.
    pub grpc_url: String,
    /// Another database than the SQLite file in the data folder.
    pub database_url: Option<String>,
}

/// What was made up for a data folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demo {
    /// The accounts.
    pub accounts: Vec<DemoAccount>,
    /// The shop's private key at the sandbox, PEM.
    pub merchant_key: String,
    /// The sandbox's private key, PEM.
    pub sandbox_key: String,
    /// Where it was last.
    #[serde(flatten)]
    pub place: DemoPlace,
    /// What a caller of the internal gRPC port must show.
    #[serde(default)]
    pub grpc_token: String,
    /// Whether accounts, catalogue and stock were loaded into the database, …
    pub loaded: bool,
    /// … and what was bought before.
    #[serde(default)]
    pub lived: bool,
}

impl Demo {
    /// The demo of a data folder, made up when there is none.
    ///
    /// # Errors
    /// `server.data_dir` when its file cannot be read or written.
    pub fn of(dir: &Path, entropy: &dyn Entropy) -> Result<Self> {
        let path = dir.join(files::DEMO);
        if let Some(mut demo) = files::read::<Self>(&path)? {
            // A demo from before there was such a port.
            if demo.grpc_token.is_empty() {
                demo.grpc_token = grpc_token(entropy);
            }
            return Ok(demo);
        }
        let account = |role: Role, name: &str| DemoAccount {
            role,
            email: format!("{name}@demo.merx.test"),
            password: password(entropy),
        };
        let (merchant_key, sandbox_key) = two_keys()?;
        let demo = Self {
            accounts: vec![
                account(Role::Customer, "buyer"),
                account(Role::Support, "support"),
                account(Role::ProductManager, "products"),
                account(Role::Operator, "operator"),
                account(Role::Warehouse, "warehouse"),
                account(Role::Administrator, "admin"),
                account(Role::Customer, "linxia"),
                account(Role::Customer, "chenhao"),
                account(Role::Customer, "zhouke"),
                account(Role::Customer, "yinuo"),
                account(Role::Customer, "sunhe"),
            ],
            grpc_token: grpc_token(entropy),
            merchant_key: merchant_key.to_pem()?,
            sandbox_key: sandbox_key.to_pem()?,
            place: DemoPlace::default(),
            loaded: false,
            lived: false,
        };
        files::write(&path, &demo)?;
        Ok(demo)
    }

    /// Says where the shop listens and stores now, for the other commands. Kept by [`load`], once the shop is open.
    pub fn move_to(&mut self, place: &DemoPlace) {
        // Another database has none of what this one was filled with.
        let same = place.database_url == self.place.database_url;
        (self.loaded, self.lived) = (self.loaded && same, self.lived && same);
        self.place = place.clone();
    }

    /// The account with this role.
    ///
    /// # Errors
    /// `server.data_dir` when the demo has none.
    pub fn account(&self, role: Role) -> Result<&DemoAccount> {
        self.accounts.iter().find(|a| a.role == role).ok_or_else(|| {
            Error::unavailable(
                "server.data_dir",
                format!("demo.json has no account with the role {}", role.name()),
            )
        })
    }

    /// The sandbox's side of the keys.
    ///
    /// # Errors
    /// `Invalid` when a key in the file is broken.
    pub fn sandbox_keys(&self) -> Result<(PublicKey, PrivateKey)> {
        Ok((PrivateKey::parse(&self.merchant_key)?.public_key()?, PrivateKey::parse(&self.sandbox_key)?))
    }
}

/// Finding primes is what a first start takes longest over: one processor for each key.
fn two_keys() -> Result<(PrivateKey, PrivateKey)> {
    std::thread::scope(|scope| {
        let other = scope.spawn(PrivateKey::generate);
        let one = PrivateKey::generate()?;
        let other = other.join().map_err(|_| Error::internal("making a key panicked"))??;
        Ok((one, other))
    })
}

/// Twice as long as a password: nobody types it.
fn grpc_token(entropy: &dyn Entropy) -> String {
    format!("{}-{}", password(entropy), password(entropy))
}

/// Four groups of five characters that cannot be mistaken for one another: about 98 bits.
fn password(entropy: &dyn Entropy) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = [0u8; 20];
    entropy.fill(&mut random);
    let letters: Vec<char> = random.iter().map(|b| char::from(LETTERS[usize::from(b & 31)])).collect();
    letters.chunks(5).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// Loads accounts, catalogue and stock into a shop that has none of it yet, lets it live through its past unless that is
/// not wanted, and remembers both.
///
/// # Errors
/// What the contexts answer; `server.data_dir` when the demo's file cannot be read or written.
pub async fn load(shop: &Shop, demo: &mut Demo, dir: &Path, past: Option<(&Config, &Db)>) -> Result<()> {
    if !demo.loaded {
        load_rows(shop, demo).await?;
        demo.loaded = true;
    }
    if let Some((config, sandbox_db)) = past.filter(|_| !demo.lived) {
        // It is begun once: what a crash leaves undone of it stays so.
        demo.lived = true;
        files::write(&dir.join(files::DEMO), demo)?;
        history::live(shop, config, sandbox_db, demo).await?;
    }
    let path = dir.join(files::DEMO);
    // A start that changes nothing needs no room on the disk.
    if files::read(&path)?.as_ref() == Some(demo) { Ok(()) } else { files::write(&path, demo) }
}

/// Everything at once, so that it shares commits; each piece has an identity of its own, and what is there already stays
/// as it is.
async fn load_rows(shop: &Shop, demo: &Demo) -> Result<()> {
    let accounts = try_join_all(demo.accounts.iter().map(|account| load_account(shop, account)));
    let (accounts, goods) = tokio::join!(accounts, catalogue::load(shop));
    accounts.and(goods)
}

async fn load_account(shop: &Shop, account: &DemoAccount) -> Result<()> {
    let create = CreateAccount {
        email: Email::new(&account.email).map_err(Error::internal)?,
        name: BoundedText::new(account.role.name()).map_err(Error::internal)?,
        password: Password::new(account.password.clone()).map_err(Error::internal)?,
        roles: vec![account.role],
    };
    match create_account(&shop.accounts, create).await {
        Err(error) if error.is("accounts.email_taken") => Ok(()),
        outcome => outcome.map(drop),
    }
}

/// The sandbox as the demo's keys make it.
///
/// # Errors
/// `Invalid` when a key in the file is broken.
pub fn sandbox_config(demo: &Demo) -> Result<merx_alipay_sandbox::Config> {
    let (merchant_key, alipay_key) = demo.sandbox_keys()?;
    let url = demo.place.sandbox_url.as_str();
    Ok(merx_alipay_sandbox::Config::new(APP_ID, SELLER_ID, merchant_key, alipay_key, url))
}

/// Where the buyers of the demo live.
fn address_of(buyer: usize) -> serde_json::Value {
    const HOMES: [[&str; 6]; 6] = [
        ["浙江省", "杭州市", "西湖区龙井路 1 号", "310013", "王小明", "13800138000"],
        ["上海市", "上海市", "徐汇区武康路 99 号 3 楼", "200031", "林夏", "13800138001"],
        ["北京市", "北京市", "东城区五道营胡同 22 号", "100007", "陈浩", "13800138002"],
        ["广东省", "深圳市", "南山区科技园南路 8 号 1201", "518057", "周可", "13800138003"],
        ["四川省", "成都市", "锦江区三圣花乡 6 组", "610063", "赵一诺", "13800138004"],
        ["陕西省", "西安市", "碑林区书院门 12 号", "710001", "孙禾", "13800138005"],
    ];
    let [region, city, line1, postcode, recipient, phone] = HOMES[buyer % HOMES.len()];
    serde_json::json!({
        "country": "CN", "region": region, "city": city, "line1": line1,
        "postcode": postcode, "recipient": recipient, "phone": phone,
    })
}
