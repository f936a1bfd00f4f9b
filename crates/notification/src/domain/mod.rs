//! The rules of notification: which fact makes which mail, what follows a try, when a webhook is tried again and how it
//! is signed. Pure, without clock, SQL or log.

pub mod mail;
pub mod schedule;
pub mod signature;
pub mod webhook;

pub use mail::{Mail, MailState, NewMail, Next, Outcome, Template};
pub use webhook::{DisabledBecause, Webhook, WebhookState};
