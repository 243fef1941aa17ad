//! librdkafka, unmodified, against `KafkaCluster` over loopback TCP.
//!
//! The client brings its own threads and its own clock, so these tests run in real time; each has a cluster of
//! its own and waits for outcomes, never for time. Without the feature `rdkafka`, which builds the C library,
//! every trial is listed as ignored, or fails where `SQUALL_REQUIRE` names librdkafka.

#[cfg(feature = "rdkafka")]
#[path = "librdkafka/trials.rs"]
mod trials;

use std::process::ExitCode;

use squall_fixtures::suite::{Need, Suite};

/// Every trial, so that a build without the feature can name what it does not run.
const NAMES: [&str; 8] = [
    "records_with_every_kind_of_acks_are_read_back_in_order",
    "an_idempotent_producer_survives_lost_acknowledgements_without_duplicates",
    "two_consumers_share_a_group_and_the_survivor_takes_over",
    "a_consumer_resumes_at_its_committed_offset",
    "a_consumer_follows_its_coordinator_to_another_node",
    "topics_are_created_described_and_deleted",
    "metadata_tells_brokers_topics_and_leaders",
    "offsets_are_found_by_timestamp",
];

fn main() -> ExitCode {
    let feature = Need::new("librdkafka", || {
        if cfg!(feature = "rdkafka") { Ok(()) } else { Err("built without the feature rdkafka".to_owned()) }
    });
    NAMES
        .into_iter()
        .fold(Suite::new().needs(feature), |suite, name| suite.trial(name, move || run(name)))
        .main()
}

#[cfg(feature = "rdkafka")]
fn run(name: &str) -> Result<(), String> {
    trials::run(name).map_err(|error| format!("{error:?}"))
}

#[cfg(not(feature = "rdkafka"))]
fn run(name: &str) -> Result<(), String> {
    Err(format!("{name} is not in this build"))
}
