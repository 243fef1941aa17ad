//! Scenario files as their authors meet them: what loads, and what is said when it does not.

mod diagnostics;
mod docs;
mod format;
mod inheritance;
mod plan;
mod robustness;
mod support;
mod topics;
