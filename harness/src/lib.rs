//! The harness.

pub mod fault;
pub mod history;
pub mod plan;
pub mod scenario;
pub mod seed;
pub mod sim;
pub mod sink;
pub mod trace;
pub mod verdict;
