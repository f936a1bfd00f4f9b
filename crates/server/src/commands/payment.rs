//! `merx payment reload-keys`.

use std::process::ExitCode;

use axum::http::Method;
use merx_kernel::Result;

use super::{admin_client::AdminClient, reading::say_json};
use crate::{
    admin::KeysLine,
    cli::{Payment, ReloadKeys},
    instance::Mode,
    run::say,
};

/// `merx payment …`.
pub async fn run(command: Payment) -> Result<ExitCode> {
    match command {
        Payment::ReloadKeys(args) => reload_keys(args).await,
    }
}

/// With no shop running it says whether the next start can use the keys.
async fn reload_keys(ReloadKeys { format, place }: ReloadKeys) -> Result<ExitCode> {
    let client = AdminClient::connect(&place, Mode::ReadOnly).await?;
    let keys: KeysLine = client.ask(Method::POST, "/payment/keys/reload").await?;
    if format.json {
        say_json(&keys)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(alipay) = keys.alipay else {
        say("The shop has no provider with keys.\n");
        return Ok(ExitCode::SUCCESS);
    };
    let changed = if alipay.changed { "other keys than before" } else { "the same keys as before" };
    say(&format!("Alipay: {changed}; Alipay's public key is {}\n", alipay.alipay_key));
    if let Some(until) = alipay.key_before_accepted_until {
        say(&format!("Notifications signed with the one before are taken until {until}\n"));
    }
    Ok(ExitCode::SUCCESS)
}
