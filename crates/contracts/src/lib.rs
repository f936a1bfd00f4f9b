//! The published language of Merx: asks (gRPC, `proto/`) and facts (CloudEvents, [`events`]), and the ids both use.
//!
//! A bounded context knows another only through this crate.

mod convert;
pub mod envelope;
pub mod events;
pub mod ids;

pub use envelope::{Envelope, Fact};

/// Every ask as a protobuf `FileDescriptorSet`: what gRPC reflection answers.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/merx.fds"));

/// The full names of all services of asks, `merx.inventory.v1.Inventory`.
pub const SERVICES: &[&str] = include!(concat!(env!("OUT_DIR"), "/services.rs"));

/// The names of all methods of asks, sorted: what may be a label of a metric.
pub const METHODS: &[&str] = include!(concat!(env!("OUT_DIR"), "/methods.rs"));

/// Messages shared by several asks.
#[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated; documented in the .proto files")]
pub mod common {
    pub mod v1 {
        tonic::include_proto!("merx.common.v1");
    }
}

/// Asks to accounts.
#[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated; documented in the .proto files")]
pub mod accounts {
    pub mod v1 {
        tonic::include_proto!("merx.accounts.v1");
    }
}

/// Asks to cart.
#[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated; documented in the .proto files")]
pub mod cart {
    pub mod v1 {
        tonic::include_proto!("merx.cart.v1");
    }
}

/// Asks to catalogue.
#[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated; documented in the .proto files")]
pub mod catalogue {
    pub mod v1 {
        tonic::include_proto!("merx.catalogue.v1");
    }
}

/// Asks to inventory.
#[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated; documented in the .proto files")]
pub mod inventory {
    pub mod v1 {
        tonic::include_proto!("merx.inventory.v1");
    }
}

/// Asks to notification.
#[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated; documented in the .proto files")]
pub mod notification {
    pub mod v1 {
        tonic::include_proto!("merx.notification.v1");
    }
}

/// Asks to ordering.
#[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated; documented in the .proto files")]
pub mod ordering {
    pub mod v1 {
        tonic::include_proto!("merx.ordering.v1");
    }
}

/// Asks to payment.
#[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated; documented in the .proto files")]
pub mod payment {
    pub mod v1 {
        tonic::include_proto!("merx.payment.v1");
    }
}

/// Asks to shipping.
#[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated; documented in the .proto files")]
pub mod shipping {
    pub mod v1 {
        tonic::include_proto!("merx.shipping.v1");
    }
}
