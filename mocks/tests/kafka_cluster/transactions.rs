//! Transactions over the wire.

mod client;
mod course;
mod transcript;
