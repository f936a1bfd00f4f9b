//! What every part of ordering works with.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use merx_contracts::ids::OrderId;
use merx_kernel::{Clock, IdGen};
use merx_platform::{
    Store,
    saga::{NewSaga, SagaEngine, WeakSagaEngine},
    telemetry::Metrics,
};
use merx_sql::Db;
use serde::Deserialize;

use crate::{
    asks::Asks,
    cause::{Cause, CausedBy},
};

/// What can be configured, under `[ordering]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Milliseconds in which an order must be paid, from its placing.
    pub payment_window_ms: u64,
    /// Milliseconds from its last delivery after which an order counts as received although nobody said so.
    pub receipt_window_ms: u64,
    /// Milliseconds from its last dispatch after which an order counts as received although neither the carrier nor
    /// anybody else said that it arrived.
    pub undelivered_window_ms: u64,
    /// Milliseconds a request waits for its order to be arranged or cancelled before it is answered 202.
    pub answer_wait_ms_max: u64,
}

impl Default for Settings {
    /// Half an hour to pay; received fifteen days after it arrived, or thirty days after it left; an answer within three
    /// seconds.
    fn default() -> Self {
        Self {
            payment_window_ms: 30 * 60 * 1000,
            receipt_window_ms: 15 * 24 * 3_600 * 1000,
            undelivered_window_ms: 30 * 24 * 3_600 * 1000,
            answer_wait_ms_max: 3_000,
        }
    }
}

impl Settings {
    /// [`Self::payment_window_ms`].
    pub const fn payment_window(&self) -> Duration {
        Duration::from_millis(self.payment_window_ms)
    }
    /// [`Self::receipt_window_ms`].
    pub const fn receipt_window(&self) -> Duration {
        Duration::from_millis(self.receipt_window_ms)
    }
    /// [`Self::undelivered_window_ms`].
    pub const fn undelivered_window(&self) -> Duration {
        Duration::from_millis(self.undelivered_window_ms)
    }
    /// [`Self::answer_wait_ms_max`].
    pub const fn answer_wait(&self) -> Duration {
        Duration::from_millis(self.answer_wait_ms_max)
    }
}

/// The tools of ordering; what sagas and reactions are made of. Cheap to clone.
#[derive(Clone)]
pub struct Tools {
    /// The database.
    pub db: Db,
    /// The platform's tables of ordering.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identities.
    pub ids: IdGen,
    /// The other contexts.
    pub asks: Asks,
    /// Counters and alerts.
    pub metrics: Metrics,
    /// What was configured.
    pub settings: Settings,
    /// The engine, for a saga that another follows. Sagas have these tools: held strongly, each would keep the other for
    /// ever.
    pub engine: Arc<OnceLock<WeakSagaEngine>>,
}

impl Tools {
    /// Carries a saga on whose start is committed. What is not carried on now is found by the engine later.
    pub(crate) fn run(&self, saga: &NewSaga) {
        if let Some(engine) = self.engine.get().and_then(WeakSagaEngine::upgrade) {
            drop(engine.run(saga));
        }
    }

    /// The cause of a change to `order_id`, happening now in the running task's trace.
    pub fn cause(&self, order_id: OrderId, by: CausedBy) -> Cause {
        Cause::here(order_id, self.clock.now(), self.ids.next(), by)
    }
}

/// Ordering, ready to work: its tools and the engine of its sagas. Cheap to clone.
#[derive(Clone)]
pub struct Ordering {
    /// The tools.
    pub tools: Tools,
    /// Carries its sagas on.
    pub engine: SagaEngine,
}
