//! The shop that is attacked: a configured one over the data of a demo, with short patience and room for any number of
//! requests.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use merx_accounts::signing_key;
use merx_alipay::PrivateKey;
use merx_contracts::ids::AccountId;
use merx_http::token::{Realm, TokenSigner};
use merx_kernel::{Clock as _, Id, Principal, Role};
use merx_platform::time::{OsEntropy, SystemClock};
use merx_server::{client::text, files};
use serde_json::json;

use crate::process::harness::Site;

/// How long the shop lets a slow client be, in milliseconds.
pub const PATIENCE_MS: u64 = 1_500;

/// How long a handler may take, in milliseconds: a machine that is busy with other tests makes no fault of a request.
const HANDLER_MS_MAX: u64 = 45_000;

/// The shop, and the demo whose data it serves.
pub struct Target {
    /// The shop that runs.
    pub site: Site,
    signer: TokenSigner,
    accounts: BTreeMap<&'static str, AccountId>,
    _data: Site,
}

impl Target {
    /// Makes the data, and serves it.
    pub async fn open() -> Self {
        let mut data = Site::new(&[]);
        data.start().await;
        let demo = data.demo();
        data.stop().await;
        let mut site = Site::configured(|_, listen| configuration(data.data(), listen));
        site.start().await;
        let key = signing_key::load_or_create(&Path::new(data.data()).join(files::SIGNING_KEY), &OsEntropy);
        let life = Duration::from_secs(3_600);
        let signer = TokenSigner::new(&key.expect("the key"), Realm::default(), life).expect("a signer");
        let mut accounts = BTreeMap::new();
        for account in &demo.accounts {
            let body = json!({ "email": account.email, "password": account.password });
            let reply =
                site.visitor().post("/v1/sessions", &body).await.expect("answered").ok().expect("logged in");
            accounts.insert(account.role.name(), text(&reply, "/account_id").parse().expect("an account"));
        }
        Self { site, signer, accounts, _data: data }
    }

    /// An access token of a demo account, for a session that nobody has ended. The requests of an attack end sessions and
    /// mistype passwords, until logging in is refused; with the shop's own key there is always somebody.
    pub fn token(&self, role: Role, session: u128) -> String {
        let account = self.accounts[role.name()];
        let principal = Principal::of_session(account, Id::from_bits(session), &[role]);
        self.signer.sign(&principal, SystemClock.now()).expect("signed")
    }

    /// The sockets the process holds.
    pub fn sockets(&self) -> usize {
        let held = fs::read_dir(format!("/proc/{}/fd", self.site.pid())).expect("a process");
        let is_socket = |path: std::path::PathBuf| {
            fs::read_link(path).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
        };
        held.filter(|entry| entry.as_ref().is_ok_and(|entry| is_socket(entry.path()))).count()
    }

    /// What the process holds in memory, in MiB.
    pub fn memory_mib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.site.pid())).expect("a process");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        let kib: u64 = line.split_whitespace().nth(1).expect("a figure").parse().expect("a number");
        kib / 1024
    }
}

fn configuration(data: &str, listen: &str) -> String {
    let (own, alipay) = (PrivateKey::generate().expect("a key"), PrivateKey::generate().expect("a key"));
    let (own, alipay) =
        (own.to_pem().expect("PEM"), alipay.public_key().expect("a key").to_pem().expect("PEM"));
    format!(
        r#"version = 1
data_dir = "{data}"
[http]
listen = "{listen}"
[http.limits]
header_read_ms_max = {PATIENCE_MS}
body_read_ms_max = {PATIENCE_MS}
handler_ms_max = {HANDLER_MS_MAX}
write_stall_ms_max = {PATIENCE_MS}
connections_per_network_max = 4096
client_requests_per_minute_max = 60000000
client_burst_max = 1000000000
signed_requests_per_minute_max = 60000000
[accounts]
logins_per_minute_max = 1000000
login_burst_max = 1000000
guests_per_minute_max = 1000000
guest_burst_max = 1000000
access_token_seconds = 3600
[payment.alipay]
app_id = "2021000000000001"
seller_id = "2088000000000002"
gateway_url = "http://127.0.0.1:9/gateway.do"
private_key = '''{own}'''
alipay_public_key = '''{alipay}'''
notify_url = "http://127.0.0.1:9/notifications"
"#
    )
}
