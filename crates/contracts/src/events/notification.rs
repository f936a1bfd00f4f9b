//! Facts of notification.

use serde::{Deserialize, Serialize};

use crate::{envelope::Fact, ids::WebhookId};

/// An endpoint is told of nothing any more, by the shop's own decision: it said that it is gone, or failed for days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookDisabled {
    /// The endpoint.
    pub webhook_id: WebhookId,
    /// `gone` or `failing`.
    pub reason: String,
}

impl Fact for WebhookDisabled {
    const TYPE: &'static str = "notification.webhook_disabled.v1";
    fn subject(&self) -> String {
        self.webhook_id.to_string()
    }
}
