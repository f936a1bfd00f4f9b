//! The file of the signing key, and the settings.

use merx_accounts::{Settings, signing_key::load_or_create};
use merx_platform::time::{OsEntropy, SeededEntropy};

fn a_key_is_made_once_and_kept_to_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.key");
    let made = load_or_create(&path, &OsEntropy).unwrap();
    let read = load_or_create(&path, &OsEntropy).unwrap();
    assert_eq!(made.expose(), read.expose());
    assert_eq!(made.expose().len(), 32);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let elsewhere = load_or_create(&folder.path().join("other.key"), &SeededEntropy::new(1)).unwrap();
    assert_ne!(made.expose(), elsewhere.expose());
}

fn a_key_that_cannot_be_used_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.key");
    for broken in ["", "short", "not base64!"] {
        std::fs::write(&path, broken).unwrap();
        let error = load_or_create(&path, &OsEntropy).unwrap_err();
        assert_eq!(error.code(), "accounts.signing_key_unusable");
        assert!(error.message().contains("signing.key") && error.message().contains("move it away"));
    }
    let error = load_or_create(&folder.path().join("absent/signing.key"), &OsEntropy).unwrap_err();
    assert_eq!(error.code(), "accounts.signing_key_unusable");
}

fn settings_out_of_range_are_named() {
    assert!(Settings::default().check().is_ok());
    let wrong = Settings { refresh_token_days: 0, password_workers: 65, ..Settings::default() };
    let error = wrong.check().unwrap_err();
    let keys: Vec<_> = error.fields().iter().map(|f| f.pointer.as_str()).collect();
    assert_eq!(keys, ["accounts.refresh_token_days", "accounts.password_workers"]);
}

pub fn trials() -> Vec<libtest_mimic::Trial> {
    crate::trials!("signing_key": a_key_is_made_once_and_kept_to_its_owner, a_key_that_cannot_be_used_says_what_to_do, settings_out_of_range_are_named; waiting )
}
