//! `merx events`.

use std::{collections::BTreeSet, process::ExitCode, time::Duration};

use merx_kernel::{Clock as _, Error, Result, Timestamp};
use merx_platform::time::SystemClock;
use merx_sql::{Db, EventFilter, EventLog, RecordedEvent, StreamId};
use serde_json::json;

use super::reading;
use crate::{cli::Events, instance, run::try_say};

/// Events read at a time.
const PAGE: i64 = 500;
/// How often a follower looks: it is another process than the one that writes, and nobody wakes it.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Prints stored events. Reads beside a running shop.
pub async fn run(args: Events) -> Result<ExitCode> {
    let shop = reading::open(&instance::config_of(&args.place)?).await?;
    let wanted = |name: &str| args.context == "all" || args.context == name;
    let logs: Vec<(&'static str, EventLog)> = shop
        .modules
        .iter()
        .filter(|module| wanted(module.name()) && !module.projections.is_empty())
        .map(|module| (module.name(), module.store.events.clone()))
        .collect();
    let (follow, position, left) = (args.follow, args.after, args.limit);
    let mut printer = Printer { db: shop.deps.db.clone(), logs, args, position, left, cut: BTreeSet::new() };
    if !follow {
        while printer.page().await? {}
        return Ok(ExitCode::SUCCESS);
    }
    let ended = tokio::signal::ctrl_c();
    tokio::select! {
        biased;
        _ = ended => Ok(ExitCode::SUCCESS),
        followed = printer.follow() => followed.map(|()| ExitCode::SUCCESS),
    }
}

struct Printer {
    db: Db,
    logs: Vec<(&'static str, EventLog)>,
    args: Events,
    position: i64,
    left: i64,
    /// Streams that have an event after the moment that is asked for: what follows in them is after it too.
    cut: BTreeSet<StreamId>,
}

impl Printer {
    async fn follow(&mut self) -> Result<()> {
        loop {
            self.left = i64::MAX;
            if self.page().await? {
                continue;
            }
            if self.left < 0 {
                return Ok(());
            }
            SystemClock.sleep(LOOK_EVERY).await;
        }
    }

    /// Prints the next page; `false` when there is no more now, enough was printed, or nobody reads any more (then `left`
    /// is below 0).
    async fn page(&mut self) -> Result<bool> {
        let at = self.args.as_of;
        let filter = EventFilter {
            stream: self.args.stream,
            // As of a moment, the event that cuts a stream off may have another name.
            names: if at.is_some() { Vec::new() } else { self.args.name.clone() },
            until: self.args.until,
        };
        let (logs, after) = (self.logs.clone(), self.position);
        let read = move |q: &mut merx_sql::Reader<'_>| {
            let mut all = Vec::new();
            for (context, log) in &logs {
                all.extend(log.search(q, &filter, after, PAGE)?.into_iter().map(|event| (*context, event)));
            }
            Ok(all)
        };
        let mut events: Vec<(&'static str, RecordedEvent)> = self.db.read("server.events", read).await?;
        // Each log gave its first ones of one snapshot, so these are the first of all; positions are given to all alike.
        events.sort_by_key(|(_, event)| event.position);
        events.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
        let more = !events.is_empty();
        for (context, event) in events {
            self.position = event.position.unwrap_or(self.position);
            if !self.wants(&event, at) {
                continue;
            }
            if self.left == 0 {
                return Ok(false);
            }
            self.left -= 1;
            if try_say(&line(context, &event, self.args.format.json)?).is_err() {
                self.left = -1;
                return Ok(false);
            }
        }
        Ok(more && self.left > 0)
    }

    fn wants(&mut self, event: &RecordedEvent, at: Option<Timestamp>) -> bool {
        let Some(at) = at else { return true };
        if event.recorded_at > at {
            self.cut.insert(event.stream);
        }
        let named = self.args.name.is_empty() || self.args.name.contains(&event.name);
        named && !self.cut.contains(&event.stream)
    }
}

fn line(context: &str, event: &RecordedEvent, json: bool) -> Result<String> {
    let stream = event.stream.id::<StreamKind>();
    if !json {
        return Ok(format!(
            "{:>8}  {}  {context:<9}  {stream}  v{:<3} {} {}\n",
            event.position.unwrap_or(0),
            event.recorded_at,
            event.version,
            event.name,
            event.body
        ));
    }
    let body: serde_json::Value = serde_json::from_str(&event.body)
        .map_err(|e| Error::internal("a stored event is not JSON").with_source(e))?;
    let line = json!({
        "context": context,
        "position": event.position,
        "stream": stream.to_string(),
        "version": event.version,
        "name": event.name,
        "schema": event.schema,
        "recorded_at": event.recorded_at,
        "body": body,
    });
    Ok(format!("{line}\n"))
}

enum StreamKind {}
impl merx_kernel::IdKind for StreamKind {
    const PREFIX: &'static str = "stream";
}
