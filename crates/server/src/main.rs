//! `merx`, the binary. See `merx --help`.

use std::{error::Error as _, io::Write as _, process::ExitCode};

use clap::Parser as _;
use merx_kernel::Error;
use merx_server::{cli::Cli, commands};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::internal("The runtime cannot be started.").with_source(e));
    match runtime.and_then(|runtime| runtime.block_on(commands::run(cli))) {
        Ok(code) => code,
        Err(error) => {
            // With standard error closed there is nobody to tell.
            let _ = std::io::stderr().write_all(told(&error).as_bytes());
            ExitCode::FAILURE
        }
    }
}

/// An error as people read it: what is wrong and what to do, each wrong value, what the system said, and where more
/// is written.
fn told(error: &Error) -> String {
    let mut text = format!("error: {}\n", error.message());
    for wrong in error.fields() {
        let colon = if wrong.pointer.is_empty() { "" } else { ": " };
        text.push_str(&format!("  {}{colon}{}\n", wrong.pointer, wrong.detail));
    }
    let cause = error.source().map(ToString::to_string).filter(|cause| !error.message().contains(cause));
    if let Some(cause) = cause {
        text.push_str(&format!("  because: {cause}\n"));
    }
    if commands::page_of(error.code()).is_some() {
        text.push_str(&format!("hint: `merx explain {}` says more\n", error.code()));
    }
    text
}
