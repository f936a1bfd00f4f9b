//! Each test as a trial of the harness, on the databases it is about. Without a MariaDB its trials are reported as
//! NOT RUN.

use std::future::Future;

use libtest_mimic::Trial;

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In memory, on the caller's task.
    Inline,
    /// On a file, with the threads of a real shop.
    File,
    /// On a MariaDB or MySQL.
    Mysql,
}

/// A test on one database.
pub fn trial<F, R>(name: &str, mode: Mode, test: F) -> Trial
where
    F: Fn(Mode) -> R + Send + 'static,
    R: Future<Output = ()>,
{
    let missing = mode == Mode::Mysql && server().is_none();
    if missing && std::env::var("MERX_REQUIRE_SERVICES").is_ok_and(|v| v == "1") {
        let why = "MERX_TEST_MYSQL_URL is not set, and MERX_REQUIRE_SERVICES=1";
        return Trial::test(format!("{name} [Mysql]"), move || Err(why.into()));
    }
    if missing {
        return Trial::test(format!("{name} [Mysql: NOT RUN, MERX_TEST_MYSQL_URL is not set]"), || Ok(()))
            .with_ignored_flag(true);
    }
    Trial::test(format!("{name} [{mode:?}]"), move || {
        let mut builder = match mode {
            Mode::Inline => tokio::runtime::Builder::new_current_thread(),
            Mode::File | Mode::Mysql => tokio::runtime::Builder::new_multi_thread(),
        };
        builder.enable_all().build()?.block_on(test(mode));
        Ok(())
    })
}

/// The server of the tests.
pub fn server() -> Option<String> {
    std::env::var("MERX_TEST_MYSQL_URL").ok().filter(|url| !url.is_empty())
}

/// Tests that ask the database for nothing that differs, in memory.
#[macro_export]
macro_rules! inline {
    ($module:literal: $($test:ident),+ $(,)?) => {
        vec![$($crate::modes::trial(
            concat!($module, "::", stringify!($test)), $crate::modes::Mode::Inline, $test,
        )),+]
    };
}

/// Tests on every database.
#[macro_export]
macro_rules! everywhere {
    ($module:literal: $($test:ident),+ $(,)?) => {{
        use $crate::modes::Mode::{File, Inline, Mysql};
        let mut trials = Vec::new();
        $(for mode in [Inline, File, Mysql] {
            trials.push($crate::modes::trial(concat!($module, "::", stringify!($test)), mode, $test));
        })+
        trials
    }};
}

/// Tests without a database.
#[macro_export]
macro_rules! plain {
    ($module:literal: $($test:ident),+ $(,)?) => {
        vec![$(libtest_mimic::Trial::test(concat!($module, "::", stringify!($test)), || { $test(); Ok(()) })),+]
    };
}
