//! The harness.

pub mod history;
pub mod trace;
pub mod verdict;
