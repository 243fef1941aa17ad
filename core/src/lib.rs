//! The event platform: what a service on Kafka, Redis and an event store is built from.
//!
//! The crate knows no transport, no simulation and no mock. What it needs of the world is handed to a service
//! in its environment, so the same service function runs in production and in every world of the harness.

pub mod backoff;
pub mod bus;
pub mod canonical;
pub mod clock;
pub mod emitter;
pub mod entropy;
pub mod env;
pub mod envelope;
pub mod event_id;
#[cfg(feature = "http")]
pub mod http;
pub mod keys;
pub mod limiter;
pub mod lock;
pub mod mutant;
pub mod net;
pub mod outbox;
pub mod point;
pub mod processor;
#[cfg(feature = "redis")]
pub mod redis;
pub mod start;
pub mod store;
#[cfg(feature = "redis")]
pub mod stream;
