//! `merx saga` and `merx dead-letters`.

use std::{path::Path, process::ExitCode};

use axum::http::Method;
use merx_contracts::ids::{MessageId, SagaId};
use merx_kernel::{Error, Result};

use super::admin_client::AdminClient;
use crate::{
    admin::{DeadLetterLine, SagaLine},
    run::say,
};

/// Prints the sagas that are not finished.
pub async fn list_sagas(dir: &Path) -> Result<ExitCode> {
    let sagas: Vec<SagaLine> = AdminClient::connect(dir).await?.ask(Method::GET, "/sagas").await?;
    for saga in &sagas {
        let next = saga.next_attempt_at.map_or_else(|| "-".to_owned(), |t| t.to_string());
        say(&format!(
            "{}  {}.{}  {}  failures {}  next {}  {}\n",
            saga.id,
            saga.context,
            saga.name,
            saga.status,
            saga.failures,
            next,
            saga.problem.as_deref().unwrap_or("")
        ));
    }
    say(&format!("{} not finished\n", sagas.len()));
    Ok(ExitCode::SUCCESS)
}

/// Retries or abandons a saga.
pub async fn change_saga(dir: &Path, id: &str, verb: &str) -> Result<ExitCode> {
    let id: SagaId = id.parse().map_err(|e| Error::invalid("ID", e))?;
    let path = format!("/sagas/{id}/{verb}");
    AdminClient::connect(dir).await?.ask::<Option<()>>(Method::POST, &path).await?;
    say(&format!("{id}: {verb} done\n"));
    Ok(ExitCode::SUCCESS)
}

/// Prints the dead letters.
pub async fn list_dead_letters(dir: &Path) -> Result<ExitCode> {
    let letters: Vec<DeadLetterLine> =
        AdminClient::connect(dir).await?.ask(Method::GET, "/dead-letters").await?;
    for letter in &letters {
        say(&format!(
            "{}  {}  {}  {}  {}\n",
            letter.subscription, letter.message, letter.kind, letter.subject, letter.problem
        ));
    }
    say(&format!("{} dead letters\n", letters.len()));
    Ok(ExitCode::SUCCESS)
}

/// Hands a dead letter to its subscription again.
pub async fn redrive(dir: &Path, subscription: &str, message: &str) -> Result<ExitCode> {
    let message: MessageId = message.parse().map_err(|e| Error::invalid("MESSAGE", e))?;
    let known = subscription.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'_');
    if !known {
        return Err(Error::invalid("SUBSCRIPTION", "must be a name as `merx dead-letters list` prints it"));
    }
    let path = format!("/dead-letters/{subscription}/{message}/redrive");
    AdminClient::connect(dir).await?.ask::<Option<()>>(Method::POST, &path).await?;
    say(&format!("{message}: sent to {subscription} again\n"));
    Ok(ExitCode::SUCCESS)
}
