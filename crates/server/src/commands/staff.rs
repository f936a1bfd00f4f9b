//! `merx staff`.

use std::process::ExitCode;

use merx_accounts::{
    commands::first_administrator::invite_first_administrator,
    domain::{email::Email, person::Locale},
};
use merx_kernel::{BoundedText, Error, Result};

use crate::{
    cli::InviteFirst,
    config::Config,
    files::DataFolder,
    instance::{self, Mode},
    run::say,
};

/// Makes the first administrator, whom nobody can invite, and prints the code that lets them in.
pub async fn invite_first(args: InviteFirst) -> Result<ExitCode> {
    let email = Email::new(&args.email).map_err(|rule| Error::invalid("--email", rule))?;
    let name = BoundedText::new(&args.name).map_err(|rule| Error::invalid("--name", rule))?;
    let config = Config::load(&args.config)?;
    let _folder = DataFolder::claim(&config.data_dir)?;
    let shop = instance::open(&config, Mode::ReadWrite)?;
    shop.migrate().await?;
    let invited = invite_first_administrator(&shop.accounts, email, name, Locale::default()).await;
    shop.deps.db.close().await;
    let (_, code) = invited?;
    say(&format!(
        "{} may choose a password within three days. Start the shop, then:\n\n  \
         curl -X POST http://{}/v1/invitations/acceptance -H 'Content-Type: application/json' \\\n    \
         -d '{{\"email\": \"{0}\", \"code\": \"{}\", \"password\": \"…\"}}'\n",
        args.email,
        config.http.listen,
        code.expose(),
    ));
    Ok(ExitCode::SUCCESS)
}
