//! `merx restore`.

use std::{fs, path::Path, process::ExitCode};

use merx_kernel::{Error, Result};
use merx_sql::check_file;
use serde_json::json;

use super::{
    archive::{self, Staging},
    backup::{DATABASES, refuse_server},
    progress::Progress,
    reading::say_json,
};
use crate::{
    cli::Restore,
    config::{Config, HttpConfig, OrdersConfig},
    demo::Demo,
    files, instance,
    run::say,
};

/// Puts a back-up into an empty data folder: beside it first, and to its place only when everything is as it should be.
pub async fn run(args: &Restore) -> Result<ExitCode> {
    let configured = args.place.config.as_deref().map(Config::load).transpose()?;
    if let Some(config) = &configured {
        refuse_server(config)?;
    }
    let data_dir = configured.as_ref().map_or(&args.place.dir, |config| &config.data_dir).clone();
    refuse_full(&data_dir)?;
    let staging = Staging::beside(&data_dir)?;
    let folder = staging.folder().to_owned();
    let mut progress = Progress::new("copying bytes");
    let manifest = archive::unpack(&args.backup, &folder, &mut |done, all| progress.at(done, all))?;
    for name in DATABASES.iter().filter(|name| folder.join(name).exists()) {
        progress.now(format!("looking through {name}"));
        check_file(&folder.join(name))?;
    }
    drop(progress);
    let config = config_in(&folder, configured)?;
    let erased = super::erasures::apply_again(&config, args.erasures.as_deref()).await?;
    staging.keep()?;
    if args.format.json {
        let answer = json!({
            "data": data_dir, "made_at": manifest.made_at, "files": manifest.files.len(), "erased_again": erased,
        });
        say_json(&answer)?;
    } else {
        say(&format!(
            "{}: the shop as it was at {}, {} files; {erased} people erased again\n",
            data_dir.display(),
            manifest.made_at,
            manifest.files.len()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn refuse_full(data_dir: &Path) -> Result<()> {
    let is_empty = match fs::read_dir(data_dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(archive::failed(data_dir, "read", error)),
    };
    if is_empty {
        return Ok(());
    }
    let text = format!(
        "{} is not empty, and nothing is written over. Name an empty folder, or one that is not there yet.",
        data_dir.display()
    );
    Err(Error::rejected("restore.target_not_empty", text))
}

/// The configuration of the shop in the folder where it is made ready.
fn config_in(folder: &Path, configured: Option<Config>) -> Result<Config> {
    if let Some(config) = configured {
        return Ok(Config { data_dir: folder.to_owned(), ..config });
    }
    let demo: Option<Demo> = files::read(&folder.join(files::DEMO))?;
    let Some(demo) = demo else {
        let text = "This back-up is of a shop that was started with `merx serve`: name its configuration file with \
                    --config, which also says where the data folder is.";
        return Err(Error::rejected("restore.configuration_needed", text));
    };
    instance::demo_config(folder, &demo, HttpConfig::default(), OrdersConfig::default())
}
