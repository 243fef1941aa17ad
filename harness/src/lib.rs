//! The harness.

pub mod checker;
pub mod history;
pub mod trace;
pub mod verdict;
