//! The routes for staff.

mod deliveries;
mod mails;
mod webhooks;

use axum::response::Response;
use http::StatusCode;
use merx_contracts::ids::AccountId;
use merx_http::{
    Access, Answer, Begun, Idempotency, IdempotencyKey, Idempotent, Limits, Owner, Route, answer, respond,
};
use merx_kernel::{BoundedText, Permission, Result};
use merx_sql::Tx;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{State, commands::Staff};

pub use deliveries::{DeliveryDetailView, DeliveryView};
pub use mails::{MailDetailView, MailView};
pub use webhooks::WebhookView;

/// Why somebody acts.
pub type Reason = BoundedText<1, 500>;

/// A command that only says why.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhyForm {
    /// Why; kept in the record of what staff did.
    #[serde(default)]
    pub reason: Option<Reason>,
}

pub(crate) const READ: Access = Access::Permission {
    permission: Permission::NotificationsRead,
    owner: Owner::None(
        "mails and webhooks are the shop's, for its staff; no address or text of a mail is shown",
    ),
};
pub(crate) const WRITE: Access = Access::Permission {
    permission: Permission::NotificationsWrite,
    owner: Owner::None("mails and webhooks are the shop's, for its staff"),
};

/// What the handlers hold.
#[derive(Clone)]
pub(crate) struct Desk {
    pub state: State,
    idempotent: Idempotent,
}

impl Desk {
    /// Who acts and when: chosen outside the transaction.
    pub fn staff(&self, actor: AccountId, reason: Option<Reason>) -> Staff {
        Staff {
            actor,
            at: self.state.clock.now(),
            message: self.state.ids.next(),
            reason: reason.map(Reason::into_string),
            store: self.state.store.clone(),
        }
    }

    /// Changes something under the request's key: key, effect, fact and answer in one transaction. The effect's identity
    /// is that of the fact that tells it. Whatever is to be sent is sent after it.
    pub async fn change<T: Serialize + 'static>(
        self,
        label: &'static str,
        key: IdempotencyKey,
        status: StatusCode,
        staff: Staff,
        change: impl Fn(&mut Tx<'_>, &Staff) -> Result<T> + Send + 'static,
    ) -> Answer<Response> {
        let keys = self.state.store.idempotency;
        let write = move |tx: &mut Tx<'_>| match key.begin(keys, tx, staff.message, staff.at)? {
            Begun::Fresh => {
                let saved = answer(status, &change(tx, &staff)?)?;
                key.complete(keys, tx, staff.message, &saved)?;
                Ok(Ok(saved))
            }
            Begun::Repeated { effect, saved } => Ok(Err((effect, saved))),
        };
        match self.state.db.write(label, write).await? {
            Ok(saved) => {
                self.state.nudge.now();
                Ok(respond(saved))
            }
            // Key, effect and answer are one transaction, so there is always a saved answer.
            Err((effect, saved)) => self.idempotent.repeat(&key, effect, saved, |_| async { Ok(None) }).await,
        }
    }
}

/// The routes of notification.
pub fn routes(state: &State, limits: &Limits) -> Vec<Route> {
    let keys = state.store.idempotency;
    let idempotent = Idempotent::new(state.db.clone(), keys, state.clock.clone(), limits);
    let desk = Desk { state: state.clone(), idempotent };
    let mut routes = mails::routes(&desk);
    routes.extend(webhooks::routes(&desk));
    routes.extend(deliveries::routes(&desk));
    routes
}

/// A POST of staff under a key.
pub(crate) fn keyed(route: Route) -> Route {
    route.idempotency(Idempotency::Required)
}
