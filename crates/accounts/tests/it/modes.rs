//! How a test is run: on virtual time, or on a database of every mode.

use std::{future::Future, sync::Arc};

use libtest_mimic::Trial;

use crate::kit::{Mode, World};

/// On one thread, where time moves when everybody waits.
pub fn on_virtual_time(case: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(case);
}

/// A case on every mode of the database; MariaDB is reported as NOT RUN when there is none.
pub fn on_every_mode<F, R>(name: &str, case: F) -> Vec<Trial>
where
    F: Fn(Arc<World>) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let mut trials =
        vec![trial(name, Mode::Inline, None, case.clone()), trial(name, Mode::File, None, case.clone())];
    let required = std::env::var("MERX_REQUIRE_SERVICES").is_ok_and(|v| v == "1");
    trials.push(match std::env::var("MERX_TEST_MYSQL_URL").ok() {
        Some(url) => trial(name, Mode::Mysql, Some(url), case),
        None if required => Trial::test(format!("{name} [Mysql]"), || {
            Err("MERX_TEST_MYSQL_URL is not set, and MERX_REQUIRE_SERVICES=1".into())
        }),
        None => Trial::test(format!("{name} [Mysql: NOT RUN, MERX_TEST_MYSQL_URL is not set]"), || Ok(()))
            .with_ignored_flag(true),
    });
    trials
}

fn trial<F, R>(name: &str, mode: Mode, server: Option<String>, case: F) -> Trial
where
    F: Fn(Arc<World>) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    Trial::test(format!("{name} [{mode:?}]"), move || {
        if mode == Mode::Inline {
            on_virtual_time(async { case(Arc::new(World::on(mode, None).await)).await });
            return Ok(());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let world = Arc::new(World::on(mode, server).await);
            case(world.clone()).await;
            drop(world.deps.tasks.shutdown(std::time::Duration::from_secs(10)).await);
            world.deps.db.close().await;
        });
        Ok(())
    })
}
