//! What goes wrong in a run: drawn from its seed, about a quarter of the points there are, each a quarter of the time.

mod injector;
mod plan;

use merx_platform::faults::Point;

pub use injector::Injector;
pub use plan::{Jump, Plan, Restart};

/// Before the commit: the batch is lost, and everybody knows.
pub const DB_BEFORE: &str = "db.before_commit";
/// After it: the batch is kept, and nobody knows.
pub const DB_AFTER: &str = "db.commit_in_doubt";
/// The mail server answers "not now".
pub const MAIL_FAILS: &str = "mail.fails";
/// The mail server has taken the mail; its answer is lost.
pub const MAIL_FAILS_AFTER: &str = "mail.fails_after";
/// The mail server answers too late.
pub const MAIL_SLOW: &str = "mail.slow";
/// A partner is not there.
pub const WEBHOOK_FAILS: &str = "webhook.fails";
/// A partner has the message; his answer is lost.
pub const WEBHOOK_FAILS_AFTER: &str = "webhook.fails_after";
/// A partner answers with an error.
pub const WEBHOOK_REFUSED: &str = "webhook.answers_500";

/// The points that are neither the platform's nor switches of Alipay.
const OTHERS: &[&str] = &[
    DB_BEFORE,
    DB_AFTER,
    MAIL_FAILS,
    MAIL_FAILS_AFTER,
    MAIL_SLOW,
    WEBHOOK_FAILS,
    WEBHOOK_FAILS_AFTER,
    WEBHOOK_REFUSED,
];

/// The switches of Alipay, each armed now and then.
pub const PROVIDER: &[&str] = &[
    "provider.lose_notification",
    "provider.duplicate_notification",
    "provider.delay_notification",
    "provider.reorder_notification",
    "provider.wrong_notification",
    "provider.gateway_timeout",
    "provider.gateway_unknown",
    "provider.gateway_in_progress",
    "provider.half_answer",
    "provider.wrong_signature",
    "provider.pay_after_close",
    "provider.pay_after_expiry",
];

/// Every point there is, in the order of the report.
pub fn every_point() -> Vec<&'static str> {
    let platform = Point::ALL.iter().map(|point| point.name());
    platform.chain(OTHERS.iter().copied()).chain(PROVIDER.iter().copied()).collect()
}

/// Of so many times that somebody passes an active point, it strikes once. Usually four. What is passed many times for
/// one thing that is asked for strikes more seldom, or nothing would ever come to its end.
const fn one_in(point: &str) -> u64 {
    match point.as_bytes() {
        b"db.before_commit" | b"db.commit_in_doubt" => 16,
        b"bus.relay_dies" => 24,
        _ => 4,
    }
}
