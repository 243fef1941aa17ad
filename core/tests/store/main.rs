//! The event store in memory: the suite for every engine, a model, and what only this engine has.

mod memory;
mod model;
