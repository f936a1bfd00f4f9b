//! What happens when a planned moment comes.

use merx_platform::TimerHandler;

use crate::{
    State,
    commands::{change_price, list_product},
};

/// The handlers of this context's timers.
pub fn timers(state: &State) -> Vec<TimerHandler> {
    let mut handlers = Vec::new();
    for kind in [list_product::LISTS, list_product::DELISTS] {
        let state = state.clone();
        handlers.push(TimerHandler::new(kind, move |timer| {
            let state = state.clone();
            async move { list_product::come_due(&state, timer).await }
        }));
    }
    for kind in [change_price::BEGINS, change_price::ENDS] {
        let state = state.clone();
        handlers.push(TimerHandler::new(kind, move |timer| {
            let state = state.clone();
            async move { change_price::come_due(&state, timer).await }
        }));
    }
    handlers
}
