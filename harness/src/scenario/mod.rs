//! Scenarios: TOML files that say what runs, what goes wrong and what must hold.

pub mod schema;
