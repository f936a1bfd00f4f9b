//! How many connections each network has.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::client::ClientAddress;

/// The networks that are connected, no more than `max` times each.
pub(crate) struct Networks {
    max: usize,
    connected: Mutex<BTreeMap<ClientAddress, usize>>,
}

/// One connection of a network; counted down when it is dropped.
pub(crate) struct Visit {
    networks: Arc<Networks>,
    network: ClientAddress,
}

impl Networks {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, connected: Mutex::default() }
    }

    /// One more connection of the network, unless it has as many as it may.
    pub(crate) fn enter(self: &Arc<Self>, network: ClientAddress) -> Option<Visit> {
        let mut connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        let count = connected.entry(network).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Visit { networks: self.clone(), network })
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut connected = self.networks.connected.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = connected.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                connected.remove(&self.network);
            }
        }
    }
}
