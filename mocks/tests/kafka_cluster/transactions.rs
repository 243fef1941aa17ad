//! Transactions over the wire.

mod client;
mod course;
mod offsets;
mod transcript;
