//! `merx events`.

use std::process::ExitCode;

use merx_kernel::{Error, Result};
use serde_json::json;

use crate::{
    cli::Events,
    instance::{self, Mode},
    run::say,
};

/// Prints stored events, one JSON a line. Reads beside a running shop.
pub async fn run(args: Events) -> Result<ExitCode> {
    let shop = instance::open(&instance::config_of(&args.place)?, Mode::ReadOnly)?;
    let Some(module) = shop.modules.iter().find(|m| m.name() == args.context) else {
        return Err(Error::internal(format!("no context `{}` is wired", args.context)));
    };
    let log = module.store.events.clone();
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
