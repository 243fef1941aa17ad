//! `KafkaCluster` over raw connections: every API in every version, on pipes in memory and virtual time.

#![cfg(feature = "kafka")]

mod determinism;
mod faults;
mod groups;
mod log;
mod metadata;
mod nodes;
mod protocol;
mod topics;
mod wire;
