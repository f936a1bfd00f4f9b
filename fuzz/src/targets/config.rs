//! The configuration: a file, and after a NUL the environment.

use merx_kernel::ErrorKind;
use merx_platform::config;
use merx_server::config::Config;

use super::text;

/// What stands in the place of every secret. A refusal must never repeat it.
const CANARY: &str = "s3cr3t-c4n4ry-0123456789";

/// The text of a file, a NUL, and lines of the environment. What is wrong is refused as the operator's mistake, in words
/// that repeat no secret.
pub fn file_and_environment(input: &[u8]) {
    let Some(text) = text(input) else { return };
    let (file, environment) = text.split_once('\0').unwrap_or((text, ""));
    let variables: Vec<(String, String)> = environment
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for loaded in [config::load_text::<Config>(file, "shop.toml"), config::load::<Config>(None, variables)] {
        let checked = loaded.and_then(|config| {
            let debug = format!("{config:?}");
            assert!(!debug.contains(CANARY), "a secret is printed: {debug}");
            config.check()
        });
        if let Err(error) = checked {
            assert_eq!(error.kind(), ErrorKind::Invalid, "{}", error.chain());
        }
    }
}
