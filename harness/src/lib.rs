//! The harness.

pub mod seed;
pub mod sim;
