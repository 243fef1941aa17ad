//! Sequences by hand, a file per area: each says what is sent, the real broker says what comes back.

mod admin;
mod cluster;
mod commits;
mod fetch;
mod groups;
pub mod list_offsets;
mod newest;
mod produce;
mod sessions;
mod topics;
mod transactions;
mod versions;

use crate::pair::Pair;

/// A sequence; an error ends it.
pub type Golden = fn(&mut Pair) -> Result<(), String>;

/// For one broker.
pub const ONE: &[(&str, Golden)] = &[
    ("api_versions", versions::api_versions),
    ("unserved_requests", versions::unserved),
    ("cluster_description", cluster::description),
    ("coordinators", cluster::coordinators),
    ("metadata", topics::metadata),
    ("created_topics", topics::created),
    ("refused_topics", topics::refused),
    ("topic_names", topics::names),
    ("topic_settings", topics::settings),
    ("deleted_topics", topics::deleted),
    ("described_settings", topics::described_settings),
    ("produce", produce::appends),
    ("produce_of_bad_batches", produce::bad_batches),
    ("idempotent_producers", produce::idempotence),
    ("producer_ids", produce::producer_ids),
    ("fetch", fetch::reads),
    ("fetch_limits", fetch::limits),
    ("list_offsets", list_offsets::of_times),
    ("commits", commits::without_members),
    ("commits_of_members", commits::of_members),
    ("lone_members", groups::lone_member),
    ("refused_members", groups::refused),
    ("two_members", groups::two_members),
    ("static_members", groups::static_members),
    ("listed_groups", groups::listed),
    ("transactions", transactions::first_version),
    ("transactions_of_version_2", transactions::second_version),
    ("fetch_sessions", sessions::of_fetches),
    ("consumer_groups", sessions::of_consumers),
    ("deleted_records", admin::delete_records),
    ("created_partitions", admin::create_partitions),
    ("altered_settings", admin::alter_settings),
    ("deleted_groups", admin::delete_groups),
    ("versions_newer_than_the_codec", newest::versions),
];

/// For three brokers.
pub const THREE: &[(&str, Golden)] = &[
    ("cluster_description", cluster::description),
    ("coordinators", cluster::coordinators),
    ("wrong_coordinators", groups::wrong_coordinator),
    ("assigned_topics", topics::assigned),
    ("wrong_leaders", produce::wrong_leader),
];
