//! What every context stands on: the transactional outbox and inbox, the bus, durable timers, idempotency keys,
//! sagas, in-process calls, supervised tasks, time, configuration and telemetry.
//!
//! A context asks for its [`Store`], describes itself as a [`Module`] and is given [`Deps`]. Everything that waits,
//! wakes or draws a random number does so through what `Deps` carries, so that a run is a function of its seed.

pub mod activity;
pub mod aggregate;
pub mod bus;
pub mod config;
pub mod faults;
pub mod idempotency;
pub mod module;
pub mod objects;
pub mod points;
pub mod projection;
pub mod rpc;
pub mod saga;
pub mod store;
pub mod tasks;
pub mod telemetry;
pub mod time;
pub mod timers;
pub mod trace;
pub mod work;

pub use activity::Activity;
pub use aggregate::{Aggregate, DomainEvent, Loaded, Snapshots};
pub use bus::{Delivery, Handler, Subscription};
pub use module::{Deps, Module};
pub use projection::Projection;
pub use rpc::Peer;
pub use saga::SagaEngine;
pub use store::Store;
pub use tasks::Tasks;
pub use telemetry::Metrics;
pub use timers::{DueTimer, TimerHandler};
