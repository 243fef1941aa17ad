//! The event platform: what a service on Kafka, Redis and an event store is built from.
//!
//! The crate knows no transport, no simulation and no mock. What it needs of the world is handed to a service
//! in its environment, so the same service function runs in production and in every world of the harness.

pub mod bus;
pub mod canonical;
pub mod clock;
pub mod envelope;
pub mod event_id;
pub mod mutant;
pub mod net;
pub mod point;
pub mod store;
