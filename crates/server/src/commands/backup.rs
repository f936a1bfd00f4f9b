//! `merx backup`.

use std::{path::Path, process::ExitCode};

use merx_kernel::{Clock as _, Error, Result};
use merx_platform::{objects::ObjectsPlace, time::SystemClock};
use merx_sql::{back_up_file, check_file};
use serde_json::json;

use super::{
    archive::{self, Entry, Manifest, Staging},
    progress::Progress,
    reading::say_json,
};
use crate::{
    admin::SOCKET,
    cli::Backup,
    config::{Config, DATABASE},
    files::MAILS,
    instance,
    run::say,
};

/// The databases a data folder may have, in the order they are copied. What the payment provider's double knows may be
/// newer than what the shop knows, as with a real provider; the other way round it would be money nobody paid.
pub const DATABASES: [&str; 2] = [DATABASE, "alipay-sandbox.db"];

/// Copies a shop, at work or at rest. It only reads.
pub async fn run(args: &Backup) -> Result<ExitCode> {
    let config = instance::config_of(&args.place)?;
    refuse_server(&config)?;
    refuse_target(&args.target, &config.data_dir)?;
    // Only a shop that this program knows is copied: another's is better copied by its own.
    super::reading::open(&config).await?.deps.db.close().await;
    let manifest = make(&config.data_dir, &args.target)?;
    let elsewhere = elsewhere(&config)?;
    if args.format.json {
        let answer = json!({
            "backup": args.target, "made_at": manifest.made_at, "bytes": manifest.bytes(), "files": manifest.files,
            "elsewhere": elsewhere,
        });
        say_json(&answer)?;
    } else {
        // Pictures are many; the manifest names them all.
        for file in manifest.files.iter().filter(|file| !file.path.contains('/')) {
            say(&format!("{}  {:>12}  {}\n", file.sha256, file.bytes, file.path));
        }
        say(&format!(
            "{}: {} files of {} bytes, read again and sound\n",
            args.target.display(),
            manifest.files.len(),
            manifest.bytes()
        ));
        if let Some(place) = elsewhere {
            say(&format!(
                "Pictures are kept at {place} and are not in it: copy them with that place's own tools.\n"
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where pictures are, when that is not the data folder.
fn elsewhere(config: &Config) -> Result<Option<String>> {
    Ok(match config.objects.place(&config.data_dir)? {
        ObjectsPlace::Folder(folder) if folder.starts_with(&config.data_dir) => None,
        ObjectsPlace::Folder(folder) => Some(folder.display().to_string()),
        _ => config.objects.url.clone(),
    })
}

/// A server has tools of its own that know its files.
pub fn refuse_server(config: &Config) -> Result<()> {
    if config.database.url.is_none() {
        return Ok(());
    }
    let text = "This shop's rows are on a database server, which has tools of its own for that: \
                `mariadb-dump --single-transaction --routines --databases NAME` (or mysqldump), or `mariadb-backup`. \
                Copy signing.key, codes.key, the list of erased people and the pictures from the data folder beside it.";
    Err(Error::rejected("backup.server_database", text))
}

fn refuse_target(target: &Path, data_dir: &Path) -> Result<()> {
    let refused = |why: &str| {
        let text = format!("{} {why}. Name another place.", target.display());
        Err(Error::rejected("backup.target", text))
    };
    if target.exists() {
        return refused("is there already, and is not written over");
    }
    let (folder, data) = (archive::parent(target).canonicalize(), data_dir.canonicalize());
    match (folder, data) {
        (Err(_), _) => refused("has no folder to stand in"),
        (Ok(folder), Ok(data)) if folder.starts_with(&data) => {
            refused("lies in the data folder, and would be lost with it")
        }
        _ => Ok(()),
    }
}

/// What is beside the databases and belongs to the shop: keys, pictures, the list of erased people, the demo's accounts.
/// Mails kept as files have been sent: with their codes, links and addresses they are their readers', and no list of erased
/// people reaches into them.
fn belongs(path: &str) -> bool {
    let volatile = ["-wal", "-shm", "-journal", ".lock", ".new", ".partial"];
    let database = DATABASES.contains(&path);
    !database && ![SOCKET, MAILS].contains(&path) && !volatile.iter().any(|ending| path.ends_with(ending))
}

fn make(data_dir: &Path, target: &Path) -> Result<Manifest> {
    let staging = Staging::beside(target)?;
    let folder = staging.folder().to_owned();
    let made_at = SystemClock.now();
    let mut files = Vec::new();
    for name in DATABASES.iter().filter(|name| data_dir.join(name).exists()) {
        let mut progress = Progress::new(format!("copying {name}, pages"));
        let copy = folder.join(name);
        back_up_file(&data_dir.join(name), &copy, &mut |at| progress.at(at.done, at.pages))?;
        progress.now(format!("looking through {name}"));
        check_file(&copy)?;
        files.push(archive::entry_of(&folder, name)?);
    }
    files.extend(others(data_dir, &folder)?);
    let manifest = Manifest::new(made_at, files);
    archive::seal(&folder, &manifest)?;
    if target.extension().is_some_and(|ending| ending == "tar") {
        as_one_file(&folder, &manifest, target)?;
    } else {
        staging.keep()?;
    }
    Ok(manifest)
}

fn others(data_dir: &Path, folder: &Path) -> Result<Vec<Entry>> {
    let paths = archive::files_below(data_dir, &belongs)?;
    let all = paths.len() as u64;
    let mut progress = Progress::new("copying files");
    let mut entries = Vec::with_capacity(paths.len());
    for (path, done) in paths.iter().zip(1..) {
        let from = data_dir.join(path);
        match archive::copy(&from, folder, path) {
            Ok(entry) => entries.push(entry),
            // Taken away since the folder was read: a picture that was deleted.
            Err(_) if !from.exists() => {}
            Err(error) => return Err(error),
        }
        progress.at(done, all);
    }
    Ok(entries)
}

/// Packs the folder, and reads the file once more to its end before it has its name.
fn as_one_file(folder: &Path, manifest: &Manifest, target: &Path) -> Result<()> {
    let mut name = target.as_os_str().to_owned();
    name.push(".partial");
    let partial = Path::new(&name);
    let packed = archive::pack(folder, manifest, partial).and_then(|()| {
        let again = Staging::beside(&target.with_extension("again"))?;
        archive::unpack(partial, again.folder(), &mut |_, _| {})?;
        std::fs::rename(partial, target)
            .and_then(|()| archive::sync_folder(archive::parent(target)))
            .map_err(|e| archive::failed(target, "move the finished file to", e))
    });
    if packed.is_err() {
        let _ = std::fs::remove_file(partial);
    }
    packed
}
