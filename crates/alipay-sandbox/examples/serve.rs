//! The double alone, with fresh keys, for a foreign client: writes one line of JSON with its address and keys to
//! standard output, then serves until standard input ends.
//!
//! `serve [CERTIFICATES [AES_KEY]]`: with a folder of `app.key`, `app.pem`, `alipay.key`, `alipay.pem` and `root.pem` it is
//! in certificate mode, `-` for none; with the base64 of an AES key it takes encrypted contents.

use std::{io::Write as _, path::Path, sync::Arc};

use merx_alipay::{ContentKey, PrivateKey, gateway::CertificateMode};
use merx_alipay_sandbox::{Config, Sandbox, Web};
use merx_kernel::{Clock, Error, Result};
use merx_platform::{
    tasks::Tasks,
    time::{OsEntropy, SystemClock},
};
use merx_sql::{Db, DbOptions};
use tokio::io::AsyncReadExt as _;

const APP_ID: &str = "2021000000000001";
const SELLER_ID: &str = "2088000000000002";

fn broken(what: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |error| Error::internal(what).with_source(error)
}

/// The merchant's key and the gateway's, with their certificates where there are some.
fn keys(folder: Option<&str>) -> Result<(PrivateKey, PrivateKey, Option<CertificateMode>)> {
    let Some(folder) = folder.filter(|folder| *folder != "-") else {
        return Ok((PrivateKey::generate()?, PrivateKey::generate()?, None));
    };
    let read = |name: &str| {
        std::fs::read_to_string(Path::new(folder).join(name)).map_err(broken("cannot read a file"))
    };
    let mode = CertificateMode::of(&read("app.pem")?, &read("alipay.pem")?, &read("root.pem")?)?;
    Ok((PrivateKey::parse(&read("app.key")?)?, PrivateKey::parse(&read("alipay.key")?)?, Some(mode)))
}

#[tokio::main]
async fn main() -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(broken("cannot listen"))?;
    let address = listener.local_addr().map_err(broken("cannot tell the address"))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy = Arc::new(OsEntropy);
    let tasks = Tasks::new(clock.clone(), entropy.clone());
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (merchant, alipay, certificates) = keys(arguments.first().map(String::as_str))?;
    let content_key = arguments.get(1).map(|text| ContentKey::parse(text)).transpose()?;
    let url = format!("http://{address}");
    let config = Config {
        certificates,
        content_key,
        ..Config::new(APP_ID, SELLER_ID, merchant.public_key()?, alipay.clone(), url.as_str())
    };
    let db = Db::inline(DbOptions::new(clock.clone()), &[])?;
    let web = Arc::new(Web::new()?);
    let (router, _) = Sandbox::start(config, db, clock, entropy, &tasks, web).await?;
    let told = serde_json::json!({
        "url": url,
        "app_id": APP_ID,
        "seller_id": SELLER_ID,
        "merchant_private_key": merchant.to_pem()?,
        "alipay_public_key": alipay.public_key()?.to_pem()?,
    });
    writeln!(std::io::stdout(), "{told}").map_err(broken("cannot write to standard output"))?;
    let ended = async {
        let mut rest = Vec::new();
        drop(tokio::io::stdin().read_to_end(&mut rest).await);
    };
    axum::serve(listener, router).with_graceful_shutdown(ended).await.map_err(broken("cannot serve"))
}
