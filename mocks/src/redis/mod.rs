//! A Redis server for tests: the real protocol, Redis 7.0.15's behaviour, and time that tests control.
//!
//! The [`engine`] is synchronous and knows neither sockets nor clocks; [`RedisServer`] puts connections, the
//! clock and fault rules around it. Truth is the real server: the differential tests run the same commands
//! against both and compare the replies. `SUPPORT.md` lists what is implemented and each known gap.

pub mod engine;
pub mod glob;
pub mod resp;
pub mod store;
