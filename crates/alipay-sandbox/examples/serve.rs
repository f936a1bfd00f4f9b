//! The double alone, with fresh keys, for a foreign client: writes one line of JSON with its address and keys to
//! standard output, then serves until standard input ends.

use std::{io::Write as _, sync::Arc};

use merx_alipay::PrivateKey;
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

#[tokio::main]
async fn main() -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(broken("cannot listen"))?;
    let address = listener.local_addr().map_err(broken("cannot tell the address"))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy = Arc::new(OsEntropy);
    let tasks = Tasks::new(clock.clone(), entropy.clone());
    let (merchant, alipay) = (PrivateKey::generate()?, PrivateKey::generate()?);
    let config = Config {
        app_id: APP_ID.to_owned(),
        seller_id: SELLER_ID.to_owned(),
        merchant_key: merchant.public_key()?,
        alipay_key: alipay.clone(),
        public_url: format!("http://{address}"),
    };
    let db = Db::inline(DbOptions::new(clock.clone()), &[])?;
    let web = Arc::new(Web::new()?);
    let (router, _) = Sandbox::start(config, db, clock, entropy, &tasks, web).await?;
    let told = serde_json::json!({
        "url": format!("http://{address}"),
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
