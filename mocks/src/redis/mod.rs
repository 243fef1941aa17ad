//! A Redis server for tests: the real protocol, Redis 7.0.15's behaviour, and time that tests control.
//!
//! The [`engine`] is synchronous and knows neither sockets nor clocks; [`RedisServer`] puts connections, the
//! clock and fault rules around it. Truth is the real server: the differential tests run the same commands
//! against both and compare the replies. `SUPPORT.md` lists what is implemented and each known gap.

mod busy;
mod conn;
mod conn_busy;
mod control;
pub mod engine;
pub mod glob;
mod options;
mod requests;
pub mod resp;
mod rules;
mod server;
mod startup;
pub mod store;

pub use control::Keep;
pub use engine::slots::slot_of;
pub use engine::stats::Stats;
pub use engine::{Exchanged, Files, MemoryFiles, Peers, Unreached};
pub use engine::{Expiry, Horizon, Lose, Peer, SlotState, Version};
pub use options::{RedisLimits, RedisOptions};
pub use requests::{Record, Recorded, Request, Requests, readable};
pub use rules::{RedisMatch, RedisRequest, command_names};
pub use server::RedisServer;
pub use startup::{Startup, StartupError};
