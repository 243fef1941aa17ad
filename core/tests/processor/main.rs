//! The processor, end to end in memory and in virtual time: what it promises, and that every planted bug breaks
//! one of the promises.

#![allow(clippy::unwrap_used, reason = "tests")]

mod dead_letters;
mod delivery;
mod gaps;
mod mutants;
mod outbox;
mod property;
mod redis_keys;
mod shop;
mod world;
