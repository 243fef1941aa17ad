//! TOML documents whose every value knows where it was written.
//!
//! `toml` reads the text; this tree keeps each value's place through inheritance and parameters, which change
//! what a value is but not where the person finds it. [`read`] turns the tree into types and reports every
//! mistake, not only the first.

mod decode;
mod node;
mod read;

pub(crate) use node::{Entry, Node, Step, Value, parse};
pub(crate) use read::read;
