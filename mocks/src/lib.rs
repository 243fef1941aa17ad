//! Redis and Kafka servers on the real wire protocols, for tests and for simulation.
//!
//! In the vocabulary of test doubles these are *fakes*: working servers, not stubs. They run on tokio's
//! clock (or a clock handed in), so TTLs, retention and session timeouts work in virtual time and in real
//! time alike, and they speak over any byte stream: a TCP socket, a simulated link, a pipe in memory.
//!
//! This crate knows nothing of the event platform or of the harness and is usable alone.

pub mod clock;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(any(feature = "kafka", feature = "redis"))]
mod kept;
pub mod net;
pub mod observe;
#[cfg(feature = "redis")]
pub mod redis;
pub mod rule;
#[cfg(feature = "tls")]
pub mod tls;

pub use clock::Clock;
