//! The harness.

pub mod fault;
pub mod plan;
pub mod scenario;
pub mod seed;
pub mod sim;
