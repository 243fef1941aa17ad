//! Sequences by hand, a file per area: each says what is sent, the real broker says what comes back.

mod cluster;
mod commits;
mod fetch;
mod groups;
pub mod list_offsets;
mod produce;
mod topics;
mod versions;

use crate::pair::Pair;

/// A sequence; an error ends it.
pub type Golden = fn(&mut Pair) -> Result<(), String>;

/// For one broker. What is marked as known is not compared: the mark goes when the mock is repaired.
pub const ONE: &[(&str, Golden)] = &[
    ("api_versions", versions::api_versions),
    ("unserved_requests", versions::unserved),
    ("cluster_description", cluster::description),
    ("coordinators", cluster::coordinators),
    ("metadata", topics::metadata),
    ("created_topics", topics::created),
    ("refused_topics", topics::refused),
    ("topic_names", topics::names),
    ("topic_settings", |pair| pair.known("limits and words of settings", topics::settings)),
    ("deleted_topics", topics::deleted),
    ("described_settings", |pair| pair.known("sources and synonyms", topics::described_settings)),
    ("produce", |pair| pair.known("compression before version 7, lone replicas", produce::appends)),
    ("produce_of_bad_batches", |pair| pair.known("words and checks of records", produce::bad_batches)),
    ("idempotent_producers", |pair| pair.known("epochs and sequences below 0", produce::idempotence)),
    ("producer_ids", |pair| pair.known("half an identity, empty names", produce::producer_ids)),
    ("fetch", |pair| pair.known("partitions twice, no transactions", fetch::reads)),
    ("fetch_limits", |pair| pair.known("parts of batches, followers", fetch::limits)),
    ("list_offsets", |pair| pair.known("partitions twice, compressed batches", list_offsets::of_times)),
    ("commits", commits::without_members),
    ("commits_of_members", commits::of_members),
    ("lone_members", groups::lone_member),
    ("refused_members", groups::refused),
    ("two_members", groups::two_members),
    ("static_members", groups::static_members),
    ("listed_groups", groups::listed),
];

/// For three brokers.
pub const THREE: &[(&str, Golden)] = &[
    ("cluster_description", cluster::description),
    ("coordinators", cluster::coordinators),
    ("wrong_coordinators", groups::wrong_coordinator),
    ("assigned_topics", topics::assigned),
    ("wrong_leaders", |pair| pair.known("addresses of leaders", produce::wrong_leader)),
];
