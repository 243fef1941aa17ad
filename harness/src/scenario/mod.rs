//! Scenarios: TOML files that say what runs, what goes wrong and what must hold.
//!
//! [`Scenario::load`](schema::Scenario::load) reads a file and everything it extends into checked cases, or
//! says all that is wrong with it, each mistake with its place. Nothing here runs anything or draws a random
//! number.

mod diagnostic;
mod discover;
pub(crate) mod document;
mod inherit;
mod load;
mod parameter;
pub mod schema;
mod suggest;
mod validate;
mod vocabulary;

pub(crate) use diagnostic::Diagnostic;
pub use diagnostic::{Diagnostics, Record, Severity};
pub use discover::{DiscoverError, discover};
pub(crate) use inherit::read_text;
pub use load::{Case, LoadOptions, Loaded};
pub use schema::Scenario;
pub(crate) use validate::validate_plan;
pub use vocabulary::Vocabulary;
