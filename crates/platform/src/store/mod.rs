//! Everything the platform keeps for one context, in tables that carry the context's name: its events, outbox,
//! inbox, cursors, deliveries, timers, sagas and idempotency keys. Every SQL text of the platform is here.
//!
//! No personal data is in these tables: subjects are ids, problems are error codes.

mod deliveries;
mod idempotency;
mod inbox;
mod outbox;
mod sagas;
mod subscriptions;
mod timers;
mod unsent;

use std::fmt;

use merx_sql::{EventLog, Migration, SequencedTable};

pub use deliveries::{Deliveries, DeliveryRow, DeliveryState, DroppedLetter, HeldCount};
pub use idempotency::{Begin, Found, IdempotencyKeys, Saved};
pub use inbox::Inbox;
pub use outbox::{Outbox, OutboxRow};
pub use sagas::{NewSaga, Parking, Refusal, SagaFilter, SagaLog, SagaRow, SagaStatus};
pub use subscriptions::Cursors;
pub use timers::{TimerId, TimerRow, Timers};

/// The platform's tables of one context. Cheap to clone; holds names only.
#[derive(Clone)]
pub struct Store {
    context: &'static str,
    /// The event streams.
    pub events: EventLog,
    /// Facts written with the transaction that made them.
    pub outbox: Outbox,
    /// Messages taken in.
    pub inbox: Inbox,
    /// How far each subscription has read each publisher.
    pub cursors: Cursors,
    /// Messages that failed: waiting for another try, waiting behind one, or dead.
    pub deliveries: Deliveries,
    /// Durable timers.
    pub timers: Timers,
    /// The saga log.
    pub sagas: SagaLog,
    /// Idempotency keys of HTTP requests.
    pub idempotency: IdempotencyKeys,
}

impl Store {
    /// The store of `context`: lower-case letters and underscores, the prefix of its tables.
    pub fn new(context: &'static str) -> Self {
        Self {
            context,
            events: EventLog::new(context),
            outbox: Outbox::new(context),
            inbox: Inbox::new(context),
            cursors: Cursors::new(context),
            deliveries: Deliveries::new(context),
            timers: Timers::new(context),
            sagas: SagaLog::new(context),
            idempotency: IdempotencyKeys::new(context),
        }
    }

    /// The context's name.
    pub const fn context(&self) -> &'static str {
        self.context
    }

    /// The shared migrations, numbered 1 to 99; a context's own begin at 100.
    pub fn migrations(&self) -> Vec<Migration> {
        let mut all = self.events.migrations();
        all.extend([
            self.outbox.migration(11),
            self.inbox.migration(12),
            self.cursors.migration(13),
            self.deliveries.migration(14),
            self.timers.migration(15),
            self.sagas.migration(16),
            self.idempotency.migration(17),
            self.deliveries.migration_dropped(18),
        ]);
        all
    }

    /// The tables whose rows get their position after the commit; [`merx_sql::Db::open`] wants to know them.
    pub fn sequenced_tables(&self) -> Vec<SequencedTable> {
        vec![self.events.sequenced_table(), self.outbox.sequenced_table()]
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.context)
    }
}

/// One shared table as a migration of `context`.
fn table(context: &str, number: u32, name: &'static str, ddl: &str) -> Migration {
    Migration::same(number, name, ddl.replace("{c}", context))
}
