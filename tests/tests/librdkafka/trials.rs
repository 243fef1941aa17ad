//! The trials themselves, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use squall_mocks::kafka::{GroupState, KafkaCluster, KafkaMatch, KafkaOptions, RunningCluster};
use squall_mocks::rule::{Act, Rule};

/// How long any one wait may take before the trial fails.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one poll blocks.
const POLL: Duration = Duration::from_millis(50);

/// Runs the trial named `name`.
pub fn run(name: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(async {
        let running = KafkaCluster::start_tcp(KafkaOptions::brokers(3)).await?;
        match name {
            "records_with_every_kind_of_acks_are_read_back_in_order" => acks(&running).await,
            "an_idempotent_producer_survives_lost_acknowledgements_without_duplicates" => {
                idempotence(&running).await
            }
            "two_consumers_share_a_group_and_the_survivor_takes_over" => sharing(&running).await,
            "a_consumer_resumes_at_its_committed_offset" => resuming(&running).await,
            "a_consumer_follows_its_coordinator_to_another_node" => moving(&running).await,
            "topics_are_created_described_and_deleted" => admin(&running).await,
            "metadata_tells_brokers_topics_and_leaders" => metadata(&running).await,
            "offsets_are_found_by_timestamp" => timestamps(&running).await,
            other => bail!("expected the name of a trial, found {other}: add it to the match"),
        }
    });
    // A client's threads may still hold connections; they must not hold up the trial.
    runtime.shutdown_background();
    result
}

fn config(running: &RunningCluster) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &running.bootstrap)
        .set("broker.address.family", "v4")
        .set("reconnect.backoff.ms", "10")
        .set("reconnect.backoff.max.ms", "50")
        .set("retry.backoff.ms", "10");
    config
}

fn producer(running: &RunningCluster, settings: &[(&str, &str)]) -> Result<FutureProducer> {
    let mut config = config(running);
    config.set("linger.ms", "0").set("message.timeout.ms", "20000");
    for (key, value) in settings {
        config.set(*key, *value);
    }
    Ok(config.create()?)
}

fn consumer(running: &RunningCluster, group: &str) -> Result<BaseConsumer> {
    Ok(config(running)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "100")
        .set("fetch.wait.max.ms", "50")
        .create()?)
}

async fn send(producer: &FutureProducer, topic: &str, partition: i32, values: &[String]) -> Result<()> {
    for value in values {
        let record: FutureRecord<'_, (), String> =
            FutureRecord::to(topic).partition(partition).payload(value);
        producer.send(record, PATIENCE).await.map_err(|(error, _)| error)?;
    }
    Ok(())
}

fn values(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number}")).collect()
}

/// Polls until `done` says so, or patience ends.
fn poll_until(
    consumers: &[&BaseConsumer],
    mut done: impl FnMut(usize, Option<(i32, i64, String)>) -> Result<bool>,
) -> Result<()> {
    let polls = PATIENCE.as_millis() / POLL.as_millis();
    for _ in 0..polls {
        for (index, consumer) in consumers.iter().enumerate() {
            let record = match consumer.poll(POLL) {
                None => None,
                Some(Ok(record)) => {
                    let value =
                        record.payload().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
                    Some((record.partition(), record.offset(), value))
                }
                // A broker that goes away and comes back is not the end.
                Some(Err(error)) if error.rdkafka_error_code() != Some(RDKafkaErrorCode::Fatal) => None,
                Some(Err(error)) => return Err(error.into()),
            };
            if done(index, record)? {
                return Ok(());
            }
        }
    }
    bail!("expected the awaited outcome within {PATIENCE:?}")
}

/// Reads `count` records, which must come in order within each partition.
fn read(consumer: &BaseConsumer, count: usize) -> Result<Vec<String>> {
    let mut read = Vec::new();
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    poll_until(&[consumer], |_, record| {
        if let Some((partition, offset, value)) = record {
            let expected = next.entry(partition).or_insert(offset);
            ensure!(
                *expected == offset,
                "expected offset {expected} of partition {partition}, found {offset}"
            );
            *expected += 1;
            read.push(value);
        }
        Ok(read.len() == count)
    })?;
    Ok(read)
}

async fn acks(running: &RunningCluster) -> Result<()> {
    running.cluster.create_topic("orders", 1)?;
    let mut sent = Vec::new();
    for acks in ["0", "1", "all"] {
        let producer = producer(running, &[("acks", acks)])?;
        let batch = values(acks, 20);
        send(&producer, "orders", 0, &batch).await?;
        sent.extend(batch);
        // acks 0 confirms nothing: what is sent next must not overtake it on another connection.
        wait_for_end(running, "orders", sent.len()).await?;
    }
    let consumer = consumer(running, "readers")?;
    consumer.subscribe(&["orders"])?;
    ensure!(tokio::task::block_in_place(|| read(&consumer, sent.len()))? == sent);
    Ok(())
}

async fn wait_for_end(running: &RunningCluster, topic: &str, records: usize) -> Result<()> {
    let wanted = i64::try_from(records)?;
    for _ in 0..PATIENCE.as_millis() / POLL.as_millis() {
        if running.cluster.end_offset(topic, 0) == Some(wanted) {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    bail!("expected {topic} to end at {wanted}, found {:?}", running.cluster.end_offset(topic, 0))
}

async fn idempotence(running: &RunningCluster) -> Result<()> {
    running.cluster.create_topic("orders", 1)?;
    let lost = running
        .cluster
        .rules()
        .add(Rule::new(KafkaMatch::api("produce").topic("orders"), Act::DropAfter).from_nth(3).times(3));
    let producer = producer(running, &[("enable.idempotence", "true")])?;
    let sent = values("once", 30);
    send(&producer, "orders", 0, &sent).await?;
    ensure!(lost.hits() == 3, "expected 3 lost acknowledgements, found {}", lost.hits());
    let log = running.cluster.log("orders", 0)?;
    let kept: Vec<String> = log
        .into_iter()
        .map(|record| String::from_utf8(record.value.unwrap_or_default().to_vec()))
        .collect::<Result<_, _>>()?;
    ensure!(kept == sent, "expected each record once and in order, found {kept:?}");
    Ok(())
}

async fn sharing(running: &RunningCluster) -> Result<()> {
    running.cluster.create_topic("orders", 4)?;
    let first = consumer(running, "workers")?;
    let second = consumer(running, "workers")?;
    first.subscribe(&["orders"])?;
    second.subscribe(&["orders"])?;
    let shares = || -> Vec<usize> {
        let Some(group) = running.cluster.group("workers") else { return Vec::new() };
        if group.state != GroupState::Stable {
            return Vec::new();
        }
        group.members.values().map(|member| member.assigned.values().map(Vec::len).sum()).collect()
    };
    tokio::task::block_in_place(|| poll_until(&[&first, &second], |_, _| Ok(shares() == [2, 2])))
        .context("both consumers get half of the partitions")?;
    drop(second);
    tokio::task::block_in_place(|| poll_until(&[&first], |_, _| Ok(shares() == [4])))
        .context("the survivor gets all partitions")?;
    let producer = producer(running, &[])?;
    for partition in 0..4 {
        send(&producer, "orders", partition, &[format!("of {partition}")]).await?;
    }
    let read: BTreeSet<String> = tokio::task::block_in_place(|| read(&first, 4))?.into_iter().collect();
    ensure!(read == (0..4).map(|partition| format!("of {partition}")).collect());
    Ok(())
}

async fn resuming(running: &RunningCluster) -> Result<()> {
    running.cluster.create_topic("orders", 1)?;
    send(&producer(running, &[])?, "orders", 0, &values("v", 10)).await?;
    tokio::task::block_in_place(|| {
        let first = consumer(running, "workers")?;
        first.subscribe(&["orders"])?;
        read(&first, 4)?;
        let mut position = TopicPartitionList::new();
        position.add_partition_offset("orders", 0, Offset::Offset(4))?;
        first.commit(&position, CommitMode::Sync)?;
        drop(first);
        let second = consumer(running, "workers")?;
        second.subscribe(&["orders"])?;
        let rest = read(&second, 6)?;
        ensure!(rest == values("v", 10)[4..], "expected the rest, found {rest:?}");
        let group = running.cluster.group("workers").context("the group exists")?;
        let committed = group.offsets.get(&("orders".to_owned(), 0)).context("an offset is committed")?;
        ensure!((committed.offset, committed.lag) == (4, Some(6)));
        Ok(())
    })
}

async fn moving(running: &RunningCluster) -> Result<()> {
    running.cluster.create_topic("orders", 1)?;
    let consumer = consumer(running, "workers")?;
    consumer.subscribe(&["orders"])?;
    let producer = producer(running, &[])?;
    send(&producer, "orders", 0, &values("before", 3)).await?;
    tokio::task::block_in_place(|| read(&consumer, 3))?;
    let old = running.cluster.group("workers").context("the group exists")?;
    let new = running.cluster.move_coordinator("workers");
    ensure!(new != old.coordinator, "expected another node than {new}");
    send(&producer, "orders", 0, &values("after", 3)).await?;
    tokio::task::block_in_place(|| {
        read(&consumer, 3)?;
        // Committing works only through the new coordinator, which the client has to find.
        poll_until(&[&consumer], |_, _| {
            let mut position = TopicPartitionList::new();
            position.add_partition_offset("orders", 0, Offset::Offset(6))?;
            Ok(consumer.commit(&position, CommitMode::Sync).is_ok())
        })
    })?;
    let group = running.cluster.group("workers").context("the group exists")?;
    ensure!(group.coordinator == new && group.generation == old.generation, "found {group:?}");
    Ok(())
}

async fn admin(running: &RunningCluster) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = config(running).create()?;
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
    let topic = NewTopic::new("orders", 3, TopicReplication::Fixed(2)).set("retention.ms", "1000");
    let created = admin.create_topics([&topic], &options).await?;
    ensure!(created == [Ok("orders".to_owned())], "found {created:?}");
    let again = admin.create_topics([&topic], &options).await?;
    ensure!(again == [Err(("orders".to_owned(), RDKafkaErrorCode::TopicAlreadyExists))], "found {again:?}");
    let configs = admin.describe_configs([&ResourceSpecifier::Topic("orders")], &options).await?;
    let config =
        configs.into_iter().next().context("one resource")?.map_err(|code| anyhow::anyhow!("{code}"))?;
    let retention = config.get("retention.ms").context("the setting is told")?;
    ensure!(retention.value.as_deref() == Some("1000") && !retention.is_default, "found {retention:?}");
    let deleted = admin.delete_topics(&["orders", "nothing"], &options).await?;
    ensure!(deleted[0] == Ok("orders".to_owned()), "found {deleted:?}");
    ensure!(
        deleted[1] == Err(("nothing".to_owned(), RDKafkaErrorCode::UnknownTopicOrPartition)),
        "found {deleted:?}"
    );
    ensure!(running.cluster.end_offset("orders", 0).is_none());
    Ok(())
}

async fn metadata(running: &RunningCluster) -> Result<()> {
    running.cluster.create_topic("orders", 3)?;
    let consumer = consumer(running, "readers")?;
    let metadata = tokio::task::block_in_place(|| consumer.fetch_metadata(Some("orders"), PATIENCE))?;
    let addresses: Vec<String> =
        metadata.brokers().iter().map(|broker| format!("{}:{}", broker.host(), broker.port())).collect();
    ensure!(addresses.join(",") == running.bootstrap, "found {addresses:?}");
    let topic = metadata.topics().first().context("one topic")?;
    ensure!(topic.partitions().len() == 3);
    for partition in topic.partitions() {
        ensure!(Some(partition.leader()) == running.cluster.leader("orders", partition.id()));
        ensure!(partition.replicas().len() == 3 && partition.isr().len() == 3);
    }
    Ok(())
}

async fn timestamps(running: &RunningCluster) -> Result<()> {
    running.cluster.create_topic("orders", 1)?;
    let producer = producer(running, &[])?;
    for timestamp in [1000, 2000, 3000] {
        let record: FutureRecord<'_, (), str> =
            FutureRecord::to("orders").partition(0).timestamp(timestamp).payload("v");
        producer.send(record, PATIENCE).await.map_err(|(error, _)| error)?;
    }
    tokio::task::block_in_place(|| {
        let consumer = consumer(running, "readers")?;
        for (timestamp, expected) in [
            (0, Offset::Offset(0)),
            (1001, Offset::Offset(1)),
            (3000, Offset::Offset(2)),
            (3001, Offset::End),
        ] {
            let mut asked = TopicPartitionList::new();
            asked.add_partition_offset("orders", 0, Offset::Offset(timestamp))?;
            let found = consumer.offsets_for_times(asked, PATIENCE)?;
            let offset = found.find_partition("orders", 0).context("the partition is told")?.offset();
            ensure!(offset == expected, "for {timestamp}: expected {expected:?}, found {offset:?}");
        }
        ensure!(consumer.fetch_watermarks("orders", 0, PATIENCE)? == (0, 3));
        Ok(())
    })
}
