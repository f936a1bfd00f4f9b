//! `merx rebuild`.

use std::process::ExitCode;

use merx_kernel::{Error, Result};
use merx_platform::{
    Module,
    projection::{self, Checksum, Rebuilding},
};
use tokio::net::UnixStream;

use super::{
    admin_client::{AdminClient, refused},
    progress::Progress,
    reading::say_json,
};
use crate::{
    admin::{RebuildLine, RebuildReport, SOCKET, TableLine},
    cli::Rebuild,
    files::DataFolder,
    instance::{self, Mode},
    run::say,
    shop::Shop,
};

/// Builds the read models of one context, or of all, again from their events: beside a running shop through its admin
/// socket, and in place with the shop at rest.
pub async fn run(args: Rebuild) -> Result<ExitCode> {
    let config = instance::config_of(&args.place)?;
    let reports = if UnixStream::connect(config.data_dir.join(SOCKET)).await.is_ok() {
        beside(&args).await?
    } else {
        let _folder = DataFolder::claim(&config.data_dir)?;
        let shop = instance::open(&config, Mode::ReadWrite)?;
        shop.migrate().await?;
        let reports = at_rest(&shop, &args.context).await?;
        shop.deps.db.close().await;
        reports
    };
    if args.format.json {
        say_json(&reports)?;
        return Ok(ExitCode::SUCCESS);
    }
    for report in reports {
        let mended = match report.mended {
            None => String::new(),
            Some(0) => ", nothing differed".to_owned(),
            Some(mended) => format!(", {mended} rows differed and were replaced"),
        };
        say(&format!("{}: built again from {} events{mended}\n", report.context, report.events));
        for (before, after) in report.before.iter().zip(&report.after) {
            let what = if before == after { "as before" } else { "other than before" };
            let short: String = after.sha256.chars().take(16).collect();
            say(&format!("  {:<28} {} rows, checksum {short}…, {what}\n", after.table, after.rows));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The contexts that are meant.
fn contexts(wanted: &str) -> &[&str] {
    match wanted {
        "ordering" => &["ordering"],
        "payment" => &["payment"],
        "inventory" => &["inventory"],
        "aftersale" => &["aftersale"],
        _ => &["ordering", "payment", "inventory", "aftersale"],
    }
}

async fn beside(args: &Rebuild) -> Result<Vec<RebuildReport>> {
    let mut reports = Vec::new();
    for context in contexts(&args.context) {
        let client = AdminClient::connect(&args.place, Mode::ReadWrite).await?;
        let mut progress = Progress::new(format!("{context}: reading events"));
        let mut end = None;
        let path = format!("/projections/{context}/rebuild");
        client
            .lines(&path, |line: RebuildLine| match line {
                RebuildLine::Progress(Rebuilding::Events { position, last }) => {
                    progress.at(u64::try_from(position).unwrap_or(0), u64::try_from(last).unwrap_or(0));
                }
                RebuildLine::Progress(Rebuilding::Compared { round, differing }) => {
                    progress.now(format!("{context}: round {round}, {differing} rows differ"));
                }
                RebuildLine::Done(report) => end = Some(Ok(report)),
                RebuildLine::Failed(refusal) => end = Some(Err(refused(refusal))),
            })
            .await?;
        drop(progress);
        reports.push(end.unwrap_or_else(|| {
            Err(Error::unavailable("server.admin_socket", "The shop stopped before the rebuild was done."))
        })?);
    }
    Ok(reports)
}

async fn at_rest(shop: &Shop, wanted: &str) -> Result<Vec<RebuildReport>> {
    let mut reports = Vec::new();
    for module in shop.modules.iter().filter(|m| contexts(wanted).contains(&m.name())) {
        let before = checksums(shop, module).await?;
        let mut events = 0;
        for projection in &module.projections {
            events = projection::rebuild(&shop.deps.db, &module.store, *projection).await?.max(events);
        }
        let after = checksums(shop, module).await?;
        reports.push(RebuildReport {
            context: module.name().to_owned(),
            events,
            mended: None,
            before,
            after,
        });
    }
    Ok(reports)
}

async fn checksums(shop: &Shop, module: &Module) -> Result<Vec<TableLine>> {
    let tables: Vec<&'static str> = module.projections.iter().flat_map(|p| p.tables).copied().collect();
    let read = move |q: &mut merx_sql::Reader<'_>| {
        tables.into_iter().map(|table| projection::checksum(q, table)).collect::<Result<Vec<Checksum>>>()
    };
    let sums = shop.deps.db.read("server.checksums", read).await?;
    Ok(sums.into_iter().map(TableLine::from).collect())
}
