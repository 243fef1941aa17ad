//! The harness.

pub mod checker;
pub mod expect;
pub mod history;
pub mod report;
pub mod trace;
pub mod verdict;
