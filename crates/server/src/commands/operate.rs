//! `merx saga` and `merx dead-letters`.

use std::process::ExitCode;

use axum::http::Method;
use merx_contracts::ids::{MessageId, SagaId};
use merx_kernel::Result;

use super::admin_client::AdminClient;
use crate::{
    admin::{DeadLetterLine, LIST_MAX, SagaLine},
    cli::Place,
    instance::Mode,
    run::say,
};

/// Prints the sagas that are not finished.
pub async fn list_sagas(place: &Place) -> Result<ExitCode> {
    let sagas: Vec<SagaLine> =
        AdminClient::connect(place, Mode::ReadOnly).await?.ask(Method::GET, "/sagas").await?;
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
    say(&format!("{} not finished{}\n", sagas.len(), at_least(sagas.len())));
    Ok(ExitCode::SUCCESS)
}

/// A list that may have been cut says so.
fn at_least(lines: usize) -> &'static str {
    if lines < LIST_MAX { "" } else { ", or more" }
}

/// Retries or abandons a saga.
pub async fn change_saga(place: &Place, id: SagaId, verb: &str) -> Result<ExitCode> {
    let path = format!("/sagas/{id}/{verb}");
    AdminClient::connect(place, Mode::ReadWrite).await?.ask::<Option<()>>(Method::POST, &path).await?;
    say(&format!("{id}: {verb} done\n"));
    Ok(ExitCode::SUCCESS)
}

/// Prints the dead letters.
pub async fn list_dead_letters(place: &Place) -> Result<ExitCode> {
    let letters: Vec<DeadLetterLine> =
        AdminClient::connect(place, Mode::ReadOnly).await?.ask(Method::GET, "/dead-letters").await?;
    for letter in &letters {
        say(&format!(
            "{}  {}  {}  {}  {}\n",
            letter.subscription, letter.message, letter.kind, letter.subject, letter.problem
        ));
    }
    say(&format!("{} dead letters{}\n", letters.len(), at_least(letters.len())));
    Ok(ExitCode::SUCCESS)
}

/// Hands a dead letter to its subscription again.
pub async fn redrive(place: &Place, subscription: &str, message: MessageId) -> Result<ExitCode> {
    let path = format!("/dead-letters/{subscription}/{message}/redrive");
    AdminClient::connect(place, Mode::ReadWrite).await?.ask::<Option<()>>(Method::POST, &path).await?;
    say(&format!("{message}: sent to {subscription} again\n"));
    Ok(ExitCode::SUCCESS)
}
