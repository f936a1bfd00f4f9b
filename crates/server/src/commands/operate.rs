//! `merx saga`, `merx dead-letters`, `merx timers`, `merx outbox`.

use std::process::ExitCode;

use axum::http::Method;
use merx_kernel::{Clock as _, Error, Result, Timestamp};
use merx_platform::{bus::Backlog, time::SystemClock};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{admin_client::AdminClient, reading::say_json};
use crate::{
    admin::{
        DeadLetterDetail, DeadLetterLine, DropReason, ListQuery, Listed, SagaDetail, SagaLine, TimerLine,
    },
    cli::{
        DeadLetterRef, DeadLetters, DeadLettersList, DropLetter, Outbox, Place, Saga, SagaList, SagaRef,
        Timers,
    },
    instance::Mode,
    run::say,
};

/// `merx saga …`.
pub async fn saga(command: Saga) -> Result<ExitCode> {
    match command {
        Saga::List(args) => list_sagas(args).await,
        Saga::Show(saga) => show_saga(saga).await,
        Saga::Retry(saga) => change_saga(&saga, "retry").await,
        Saga::Abandon(saga) => change_saga(&saga, "abandon").await,
    }
}

/// `merx dead-letters …`.
pub async fn dead_letters(command: DeadLetters) -> Result<ExitCode> {
    match command {
        DeadLetters::List(args) => list_dead_letters(args).await,
        DeadLetters::Show(letter) => show_dead_letter(letter).await,
        DeadLetters::Redrive(letter) => redrive(letter).await,
        DeadLetters::Drop(letter) => drop_letter(letter).await,
    }
}

async fn get<T: DeserializeOwned>(place: &Place, path: &str) -> Result<T> {
    AdminClient::connect(place, Mode::ReadOnly).await?.ask(Method::GET, path).await
}

async fn list<T: DeserializeOwned>(place: &Place, path: &str, query: &ListQuery) -> Result<Listed<T>> {
    let query = serde_urlencoded::to_string(query)
        .map_err(|e| Error::internal("the filters cannot be written").with_source(e))?;
    get(place, &format!("{path}?{query}")).await
}

/// A list that was cut says so.
fn or_more<T>(listed: &Listed<T>) -> &'static str {
    if listed.more { ", or more" } else { "" }
}

fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| at.to_string())
}

async fn list_sagas(SagaList { status, name, list: args }: SagaList) -> Result<ExitCode> {
    let unfinished = status.is_empty();
    let query = ListQuery {
        context: args.context,
        limit: Some(args.limit.into()),
        status: (!unfinished).then(|| status.join(",")),
        name,
        ..ListQuery::default()
    };
    let sagas: Listed<SagaLine> = list(&args.place, "/sagas", &query).await?;
    if args.format.json {
        say_json(&sagas)?;
        return Ok(ExitCode::SUCCESS);
    }
    for saga in &sagas.items {
        say(&format!(
            "{}  {}.{}  {}  failures {}  next {}  {}\n",
            saga.id,
            saga.context,
            saga.name,
            saga.status,
            saga.failures,
            time(saga.next_attempt_at),
            saga.problem.as_deref().unwrap_or("")
        ));
    }
    let what = if unfinished { "not finished" } else { "found" };
    say(&format!("{} {what}{}\n", sagas.items.len(), or_more(&sagas)));
    Ok(ExitCode::SUCCESS)
}

async fn show_saga(SagaRef { id, format, place }: SagaRef) -> Result<ExitCode> {
    let saga: SagaDetail = get(&place, &format!("/sagas/{id}")).await?;
    if format.json {
        say_json(&saga)?;
        return Ok(ExitCode::SUCCESS);
    }
    let SagaDetail { line, .. } = &saga;
    let mut text = format!(
        "{}\n  what         {}.{} version {}\n  status       {}\n  started      {}\n  changed      {}\n  failures     {}\n  \
         next         {}\n  data         {}\n",
        line.id,
        line.context,
        line.name,
        saga.version,
        line.status,
        line.created_at,
        saga.updated_at,
        line.failures,
        time(line.next_attempt_at),
        saga.data,
    );
    for (name, value) in [("problem", &line.problem), ("trace", &saga.traceparent)] {
        if let Some(value) = value {
            text.push_str(&format!("  {name:<12} {value}\n"));
        }
    }
    if let Some(code) = &saga.refusal_code {
        let message = saga.refusal_message.as_deref().unwrap_or("");
        text.push_str(&format!("  refused      {code}: {message}\n"));
    }
    text.push_str("  steps\n");
    for step in saga.steps.iter().flatten() {
        let marks = [
            (step.undoable, "can be undone"),
            (step.pivot && saga.pivot_passed, "pivot, passed"),
            (step.pivot && !saga.pivot_passed, "pivot"),
            (step.refused, "refused"),
        ];
        let marks: Vec<&str> = marks.into_iter().filter(|(set, _)| *set).map(|(_, mark)| mark).collect();
        text.push_str(&format!("    {:<18} {}\n", step.name, marks.join(", ")));
    }
    if saga.steps.is_none() {
        text.push_str("    this program does not know this saga and version\n");
    }
    say(&text);
    Ok(ExitCode::SUCCESS)
}

async fn change_saga(SagaRef { id, format, place }: &SagaRef, verb: &str) -> Result<ExitCode> {
    let path = format!("/sagas/{id}/{verb}");
    AdminClient::connect(place, Mode::ReadWrite).await?.ask::<Option<()>>(Method::POST, &path).await?;
    if format.json {
        say_json(&json!({"id": id, "done": verb}))?;
    } else {
        say(&format!("{id}: {verb} done\n"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn list_dead_letters(
    DeadLettersList { subscription, dropped, list: args }: DeadLettersList,
) -> Result<ExitCode> {
    let query = ListQuery {
        context: args.context,
        limit: Some(args.limit.into()),
        subscription,
        dropped,
        ..ListQuery::default()
    };
    let letters: Listed<DeadLetterLine> = list(&args.place, "/dead-letters", &query).await?;
    if args.format.json {
        say_json(&letters)?;
        return Ok(ExitCode::SUCCESS);
    }
    for letter in &letters.items {
        let why = letter
            .reason
            .as_ref()
            .map_or(String::new(), |reason| format!("  dropped {}: {reason}", time(letter.dropped_at)));
        say(&format!(
            "{}  {}  {}  {}  {}{why}\n",
            letter.subscription, letter.message, letter.kind, letter.subject, letter.problem
        ));
    }
    let what = if dropped { "dropped letters" } else { "dead letters" };
    say(&format!("{} {what}{}\n", letters.items.len(), or_more(&letters)));
    Ok(ExitCode::SUCCESS)
}

async fn show_dead_letter(letter: DeadLetterRef) -> Result<ExitCode> {
    let DeadLetterRef { subscription, message, format, place } = letter;
    let letter: DeadLetterDetail = get(&place, &format!("/dead-letters/{subscription}/{message}")).await?;
    if format.json {
        say_json(&letter)?;
        return Ok(ExitCode::SUCCESS);
    }
    let line = &letter.line;
    let mut text = format!(
        "{}\n  subscription {}\n  type         {}\n  subject      {}\n  publisher    {} at position {}\n  state        {}\n  \
         tries        {}, last or next at {}\n  problem      {}\n",
        line.message,
        line.subscription,
        line.kind,
        line.subject,
        letter.publisher,
        letter.position,
        letter.state,
        line.tries,
        letter.next_at,
        line.problem,
    );
    if let Some(reason) = &line.reason {
        text.push_str(&format!("  dropped      {}: {reason}\n", time(line.dropped_at)));
    }
    text.push_str(&format!("  envelope     {}\n", letter.envelope));
    say(&text);
    Ok(ExitCode::SUCCESS)
}

async fn redrive(letter: DeadLetterRef) -> Result<ExitCode> {
    let DeadLetterRef { subscription, message, format, place } = letter;
    let path = format!("/dead-letters/{subscription}/{message}/redrive");
    AdminClient::connect(&place, Mode::ReadWrite).await?.ask::<Option<()>>(Method::POST, &path).await?;
    if format.json {
        say_json(&json!({"subscription": subscription, "message": message, "done": "redrive"}))?;
    } else {
        say(&format!("{message}: sent to {subscription} again\n"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn drop_letter(DropLetter { letter, reason }: DropLetter) -> Result<ExitCode> {
    let DeadLetterRef { subscription, message, format, place } = letter;
    let path = format!("/dead-letters/{subscription}/{message}/drop");
    let client = AdminClient::connect(&place, Mode::ReadWrite).await?;
    client.tell::<Option<()>>(&path, &DropReason { reason: reason.clone() }).await?;
    if format.json {
        let done =
            json!({"subscription": subscription, "message": message, "done": "drop", "reason": reason});
        say_json(&done)?;
    } else {
        say(&format!("{message}: dropped for {subscription}: {reason}\n"));
    }
    Ok(ExitCode::SUCCESS)
}

/// `merx timers`.
pub async fn timers(Timers { kind, due, list: args }: Timers) -> Result<ExitCode> {
    let now = SystemClock.now();
    let query = ListQuery {
        context: args.context,
        limit: Some(args.limit.into()),
        kind,
        due_by: due.then_some(now.as_millis()),
        ..ListQuery::default()
    };
    let timers: Listed<TimerLine> = list(&args.place, "/timers", &query).await?;
    if args.format.json {
        say_json(&timers)?;
        return Ok(ExitCode::SUCCESS);
    }
    for timer in &timers.items {
        let state = if timer.next_at <= now { "due" } else { "set" };
        say(&format!(
            "{}  {}.{}  {}  {state}  tries {}\n",
            timer.next_at, timer.context, timer.kind, timer.key, timer.tries
        ));
    }
    say(&format!("{} timers{}\n", timers.items.len(), or_more(&timers)));
    Ok(ExitCode::SUCCESS)
}

/// `merx outbox`.
pub async fn outbox(Outbox { context, format, place }: Outbox) -> Result<ExitCode> {
    let mut backlog: Backlog = get(&place, "/outbox").await?;
    if let Some(context) = &context {
        let own = |name: &str| name.split('.').next() == Some(context.as_str());
        backlog.outboxes.retain(|outbox| outbox.context == *context);
        backlog.subscriptions.retain(|s| s.publisher == *context || own(&s.subscription));
    }
    if format.json {
        say_json(&backlog)?;
        return Ok(ExitCode::SUCCESS);
    }
    let now = SystemClock.now();
    for outbox in &backlog.outboxes {
        say(&format!(
            "{:<14} {} unsent, {} without a position, {} kept, last position {}\n",
            outbox.context, outbox.unsent, outbox.unplaced, outbox.facts, outbox.last_position
        ));
    }
    say("\n");
    for subscription in &backlog.subscriptions {
        let age = subscription.oldest.map_or(0, |at| now.since(at).as_secs());
        say(&format!(
            "{:<32} of {:<14} {} behind ({age} s), {} held, {} dead, {} dropped\n",
            subscription.subscription,
            subscription.publisher,
            subscription.behind,
            subscription.held,
            subscription.dead,
            subscription.dropped
        ));
    }
    Ok(ExitCode::SUCCESS)
}
