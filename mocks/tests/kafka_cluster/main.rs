//! `KafkaCluster` over raw connections: every API in every version, on pipes in memory and virtual time.

#![cfg(feature = "kafka")]

mod configs;
mod connections;
mod consumer_groups;
mod determinism;
mod faults;
mod groups;
mod log;
mod metadata;
mod nodes;
mod partitions;
mod protocol;
mod quotas;
mod replica;
mod retention;
mod sasl;
mod sessions;
mod time;
mod topics;
mod transactions;
mod wire;
