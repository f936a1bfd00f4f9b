//! `merx events`.

use std::process::ExitCode;

use merx_kernel::{Error, Result};
use merx_platform::Store;
use serde_json::json;

use crate::{
    cli::Events,
    instance::{self, Mode},
    run::say,
};

/// The contexts that keep events.
const EVENT_SOURCED: &[&str] = &["ordering", "payment", "inventory"];
/// The most events printed at once.
const LIMIT_MAX: i64 = 100_000;

/// Prints stored events, one JSON a line. Reads beside a running shop.
pub async fn run(args: Events) -> Result<ExitCode> {
    let Some(context) = EVENT_SOURCED.iter().copied().find(|c| *c == args.context) else {
        return Err(Error::invalid("CONTEXT", format!("must be one of {}", EVENT_SOURCED.join(", "))));
    };
    if !(1..=LIMIT_MAX).contains(&args.limit) {
        return Err(Error::invalid("--limit", format!("must be from 1 to {LIMIT_MAX}")));
    }
    let (shop, _) = instance::open_demo(&args.data.dir, Mode::ReadOnly)?;
    let log = Store::new(context).events;
    let (after, limit) = (args.after, args.limit);
    let events = shop.deps.db.read("server.events", move |q| log.read_after(q, after, limit)).await?;
    for event in events {
        let body: serde_json::Value = serde_json::from_str(&event.body)
            .map_err(|e| Error::internal("a stored event is not JSON").with_source(e))?;
        let line = json!({
            "position": event.position,
            "stream": event.stream.id::<StreamKind>().to_string(),
            "version": event.version,
            "name": event.name,
            "schema": event.schema,
            "recorded_at": event.recorded_at,
            "body": body,
        });
        say(&format!("{line}\n"));
    }
    Ok(ExitCode::SUCCESS)
}

enum StreamKind {}
impl merx_kernel::IdKind for StreamKind {
    const PREFIX: &'static str = "stream";
}
