//! Cases on paused time: it moves by itself when every task waits, so hours pass in no time.

use std::{future::Future, sync::Arc};

use libtest_mimic::Trial;
use merx_kernel::{Clock, Entropy, Timestamp};
use merx_platform::{
    Tasks,
    time::{SeededEntropy, VirtualClock},
};

/// The moment every case begins.
pub const START: Timestamp = Timestamp::from_millis(1_795_132_800_000);

pub fn paused<R: Future<Output = ()> + 'static>(name: &str, case: fn() -> R) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(case());
        Ok(())
    })
}

/// In real time, with sockets.
pub fn real<R: Future<Output = ()> + 'static>(name: &str, case: fn() -> R) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(case());
        Ok(())
    })
}

pub fn plain(name: &str, case: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        case();
        Ok(())
    })
}

pub fn clock() -> Arc<dyn Clock> {
    Arc::new(VirtualClock::new(START))
}

pub fn entropy() -> Arc<dyn Entropy> {
    Arc::new(SeededEntropy::new(7))
}

pub fn tasks() -> Tasks {
    Tasks::new(clock(), entropy())
}
