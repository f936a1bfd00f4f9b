//! Switches that take one guard away, so that a fault test can be seen to fail without it.
//!
//! In an ordinary build every guard is a constant `true`. Built with `--cfg merx_mutants`, the environment
//! variable `MERX_GUARDS_OFF` (names separated by commas) takes guards away at run time.

/// A guard that a fault test is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guard {
    /// The inbox drops a message that was taken in before.
    Inbox,
    /// Stock changes by one guarded update, never by read-then-write.
    StockUpdate,
    /// A reservation released before it was made leaves a tombstone that refuses it.
    ReservationTombstone,
    /// A notification is believed only with a valid signature.
    NotificationSignature,
    /// A notification is compared field by field with our own record.
    NotificationFields,
    /// One capture per (attempt, provider trade) whatever is sent.
    CaptureOnce,
    /// Late money is refunded under one identity.
    RefundOnce,
    /// The idempotency key is looked up before anything is done.
    IdempotencyKey,
    /// The saga's start is written in the transaction of its cause.
    SagaLog,
    /// Facts go to the outbox in the transaction that made them.
    Outbox,
    /// Events carry the version they were decided on.
    EventVersion,
    /// Subscribers read positions given after commit only.
    SequencerGap,
    /// A foreign object is a 404.
    Owner,
    /// Stock is let go only after the provider closed the trade.
    CloseBeforeRelease,
    /// Attempts whose notification does not come are asked about.
    AttemptPoller,
    /// A hold and a dispatch of one order first write its guard row.
    ShipmentHold,
    /// A token says the one algorithm and type we know, and nothing is negotiated.
    TokenAlgorithm,
    /// A code that is mailed bears five guesses.
    CodeGuesses,
    /// Guesses at the password of an account are counted, and beyond the limits not evaluated.
    LoginLimiter,
    /// Addresses given by people are reached only when they are public.
    OutboundAddress,
    /// A webhook keeps its id through every retry and replay.
    WebhookId,
    /// The facts of one subject go one after another.
    PartitionKey,
    /// A rule over several rows first writes a row that all under it write.
    GuardRow,
    /// A commit is on the disk before it is acknowledged.
    Fsync,
}

impl Guard {
    /// Every guard, in the order of the report.
    pub const ALL: &'static [Self] = &[
        Self::Inbox,
        Self::StockUpdate,
        Self::ReservationTombstone,
        Self::NotificationSignature,
        Self::NotificationFields,
        Self::CaptureOnce,
        Self::RefundOnce,
        Self::IdempotencyKey,
        Self::SagaLog,
        Self::Outbox,
        Self::EventVersion,
        Self::SequencerGap,
        Self::Owner,
        Self::CloseBeforeRelease,
        Self::AttemptPoller,
        Self::ShipmentHold,
        Self::TokenAlgorithm,
        Self::CodeGuesses,
        Self::LoginLimiter,
        Self::OutboundAddress,
        Self::WebhookId,
        Self::PartitionKey,
        Self::GuardRow,
        Self::Fsync,
    ];

    /// The name in `MERX_GUARDS_OFF` and in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::StockUpdate => "stock-update",
            Self::ReservationTombstone => "reservation-tombstone",
            Self::NotificationSignature => "notification-signature",
            Self::NotificationFields => "notification-fields",
            Self::CaptureOnce => "capture-once",
            Self::RefundOnce => "refund-once",
            Self::IdempotencyKey => "idempotency-key",
            Self::SagaLog => "saga-log",
            Self::Outbox => "outbox",
            Self::EventVersion => "event-version",
            Self::SequencerGap => "sequencer-gap",
            Self::Owner => "owner",
            Self::CloseBeforeRelease => "close-before-release",
            Self::AttemptPoller => "attempt-poller",
            Self::ShipmentHold => "shipment-hold",
            Self::TokenAlgorithm => "token-algorithm",
            Self::CodeGuesses => "code-guesses",
            Self::LoginLimiter => "login-limiter",
            Self::OutboundAddress => "outbound-address",
            Self::WebhookId => "webhook-id",
            Self::PartitionKey => "partition-key",
            Self::GuardRow => "guard-row",
            Self::Fsync => "synchronous-full",
        }
    }

    /// Whether the guard stands.
    #[cfg(not(merx_mutants))]
    #[inline(always)]
    pub const fn on(self) -> bool {
        true
    }

    /// Whether the guard stands.
    #[cfg(merx_mutants)]
    pub fn on(self) -> bool {
        use std::sync::OnceLock;
        static OFF: OnceLock<Vec<String>> = OnceLock::new();
        let off = OFF.get_or_init(|| {
            let names: Vec<String> = std::env::var("MERX_GUARDS_OFF")
                .unwrap_or_default()
                .split(',')
                .filter(|n| !n.is_empty())
                .map(str::to_owned)
                .collect();
            for name in &names {
                assert!(Self::ALL.iter().any(|g| g.name() == name), "MERX_GUARDS_OFF names no guard: {name}");
            }
            names
        });
        !off.iter().any(|n| n == self.name())
    }
}

/// Whether this build carries the switches. The server refuses to serve a shop with such a build.
pub const fn switches_compiled_in() -> bool {
    cfg!(merx_mutants)
}
