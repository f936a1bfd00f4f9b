//! What `merx up` makes up once for each data folder: accounts with fresh passwords, sandbox keys, a catalogue with
//! stock. Every step has an identity made beforehand, so that a start killed half-way is finished by the next.

use std::path::Path;

use futures_util::future::try_join_all;
use merx_accounts::{
    Password,
    commands::create_account::{CreateAccount, create_account},
    domain::email::Email,
};
use merx_alipay::{PrivateKey, PublicKey};
use merx_catalogue::{
    commands::create_product,
    domain::{LocalText, Product, ProductOption, SkuSpec},
};
use merx_contracts::ids::{ProductId, Sku};
use merx_inventory::commands::{StockReceipt, receive_stock};
use merx_kernel::{BoundedText, Currency, Entropy, Error, Id, Money, Result, Role};
use serde::{Deserialize, Serialize};

use crate::{files, shop::Shop};

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

/// What was made up for a data folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demo {
    /// The accounts.
    pub accounts: Vec<DemoAccount>,
    /// The shop's private key at the sandbox, PEM.
    pub merchant_key: String,
    /// The sandbox's private key, PEM.
    pub sandbox_key: String,
    /// Where the API was last.
    pub api_url: String,
    /// Where the sandbox was last.
    pub sandbox_url: String,
    /// Another database than the SQLite file in the data folder.
    pub database_url: Option<String>,
    /// Whether everything below was loaded into the database.
    pub loaded: bool,
}

impl Demo {
    /// The demo of a data folder, made up when there is none.
    ///
    /// # Errors
    /// `server.data_dir` when its file cannot be read or written.
    pub fn of(dir: &Path, entropy: &dyn Entropy) -> Result<Self> {
        let path = dir.join(files::DEMO);
        if let Some(demo) = files::read(&path)? {
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
                account(Role::Warehouse, "warehouse"),
                account(Role::Administrator, "admin"),
            ],
            merchant_key: merchant_key.to_pem()?,
            sandbox_key: sandbox_key.to_pem()?,
            api_url: String::new(),
            sandbox_url: String::new(),
            database_url: None,
            loaded: false,
        };
        files::write(&path, &demo)?;
        Ok(demo)
    }

    /// Says where the shop listens and stores now, for the other commands. Kept by [`load`], once the shop is open.
    pub fn move_to(&mut self, api_url: String, sandbox_url: String, database_url: Option<String>) {
        // Another database has none of what this one was filled with.
        self.loaded &= database_url == self.database_url;
        (self.api_url, self.sandbox_url, self.database_url) = (api_url, sandbox_url, database_url);
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

/// Four groups of five characters that cannot be mistaken for one another: about 98 bits.
fn password(entropy: &dyn Entropy) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = [0u8; 20];
    entropy.fill(&mut random);
    let letters: Vec<char> = random.iter().map(|b| char::from(LETTERS[usize::from(b & 31)])).collect();
    letters.chunks(5).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

#[derive(Deserialize)]
struct Catalogue {
    currency: Currency,
    products: Vec<CatalogueProduct>,
}
#[derive(Deserialize)]
struct CatalogueProduct {
    title: LocalText<200>,
    description: LocalText<4000>,
    options: Vec<ProductOption>,
    skus: Vec<CatalogueSku>,
}
#[derive(Deserialize)]
struct CatalogueSku {
    sku: Sku,
    choices: Vec<u16>,
    price_minor: i64,
    weight_grams: u32,
    stock: i64,
}

/// 2026-01-01 in the time part of a version 7 UUID: demo products have the same ids in every shop.
const PRODUCT_IDS: u128 = 0x019b_76da_a800_7000_8000_0000_0000_0000;
/// The stock entries of the demo, likewise.
const ENTRY_IDS: u128 = 0x019b_76da_a800_7000_9000_0000_0000_0000;

/// Loads accounts, catalogue and stock into a shop that has none of it yet, and remembers that.
///
/// # Errors
/// What the contexts answer; `server.data_dir` when the demo's file cannot be read or written.
pub async fn load(shop: &Shop, demo: &mut Demo, dir: &Path) -> Result<()> {
    if !demo.loaded {
        load_rows(shop, demo).await?;
        demo.loaded = true;
    }
    let path = dir.join(files::DEMO);
    // A start that changes nothing needs no room on the disk.
    if files::read(&path)?.as_ref() == Some(demo) { Ok(()) } else { files::write(&path, demo) }
}

/// Everything at once, so that it shares commits; each piece has an identity of its own, and what is there already stays
/// as it is.
async fn load_rows(shop: &Shop, demo: &Demo) -> Result<()> {
    let catalogue: Catalogue = serde_json::from_str(include_str!("../demo/catalogue.json"))
        .map_err(|e| Error::internal("the demo catalogue cannot be read").with_source(e))?;
    let accounts = try_join_all(demo.accounts.iter().map(|account| load_account(shop, account)));
    let stock: Vec<(Sku, i64)> =
        catalogue.products.iter().flat_map(|p| &p.skus).map(|s| (s.sku.clone(), s.stock)).collect();
    let stock = try_join_all((ENTRY_IDS + 1..).zip(stock).map(|(entry, (sku, quantity))| {
        let reason = Some("demo catalogue".to_owned());
        receive_stock(&shop.inventory, StockReceipt { entry: Id::from_bits(entry), sku, quantity, reason })
    }));
    let currency = catalogue.currency;
    let products =
        try_join_all((PRODUCT_IDS..).zip(catalogue.products).map(|(id, product)| {
            create_product(&shop.catalogue, product.priced(Id::from_bits(id), currency))
        }));
    let (accounts, stock, products) = tokio::join!(accounts, stock, products);
    accounts.and(stock.map(drop)).and(products.map(drop))
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

impl CatalogueProduct {
    fn priced(self, id: ProductId, currency: Currency) -> Product {
        let Self { title, description, options, skus } = self;
        let skus = skus.into_iter().map(|of| SkuSpec {
            sku: of.sku,
            choices: of.choices,
            price: Money::new(of.price_minor, currency),
            weight_grams: of.weight_grams,
        });
        Product { id, title, description, options, skus: skus.collect() }
    }
}
