//! The rdkafka crate: what its documentation shows, example by example. Each prints its name, then what it saw, and a
//! line that begins with `!!` if it failed.

use std::time::Duration;

use futures_util::future::BoxFuture;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, StreamConsumer};
use rdkafka::error::KafkaResult;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

const WAIT: Duration = Duration::from_secs(30);

type Example = (&'static str, fn() -> BoxFuture<'static, KafkaResult<()>>);

const EXAMPLES: &[Example] = &[
    ("produce and consume", || Box::pin(simple())),
    ("a group commits and goes on", || Box::pin(group())),
    ("stored offsets", || Box::pin(stored())),
    ("watermarks, times and seeks", || Box::pin(offsets())),
    ("transactions", || Box::pin(transactions())),
    ("administration", || Box::pin(administration())),
    ("metadata and groups", || Box::pin(metadata())),
];

#[tokio::main]
async fn main() {
    for (name, example) in EXAMPLES {
        println!("## {name}");
        if let Err(error) = example().await {
            println!("!! {error}");
        }
    }
}

fn config() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", std::env::var("KAFKA").expect("KAFKA names the brokers"));
    config
}

fn readers(group: &str) -> ClientConfig {
    let mut config = config();
    config.set("group.id", group).set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
    config
}

async fn create(topic: &str, partitions: i32) -> KafkaResult<()> {
    let admin: AdminClient<DefaultClientContext> = config().create()?;
    let topic = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    for result in admin.create_topics(&[topic], &AdminOptions::new()).await? {
        println!("{result:?}");
    }
    Ok(())
}

async fn produce(topic: &str, values: &[&str]) -> KafkaResult<()> {
    let producer: FutureProducer = config().create()?;
    for value in values {
        let record = FutureRecord::to(topic).key("key").payload(*value).partition(0);
        let headers = OwnedHeaders::new().insert(Header { key: "header", value: Some("x") });
        let delivery = producer.send(record.headers(headers), WAIT).await.map_err(|(error, _)| error)?;
        println!("{value} is at {}-{}", delivery.partition, delivery.offset);
    }
    Ok(())
}

async fn take(consumer: &StreamConsumer, count: usize) -> KafkaResult<()> {
    for _ in 0..count {
        let record = consumer.recv().await?;
        let headers = record.headers().map_or(0, Headers::count);
        println!(
            "{}-{} at {}: {:?} {:?}, {headers} headers",
            record.topic(),
            record.partition(),
            record.offset(),
            record.key_view::<str>().transpose().ok().flatten(),
            record.payload_view::<str>().transpose().ok().flatten(),
        );
        consumer.store_offset_from_message(&record).ok();
    }
    Ok(())
}

async fn simple() -> KafkaResult<()> {
    create("simple", 1).await?;
    produce("simple", &["one", "two", "three"]).await?;
    let consumer: StreamConsumer = readers("simple").create()?;
    consumer.subscribe(&["simple"])?;
    take(&consumer, 3).await
}

async fn group() -> KafkaResult<()> {
    create("grouped", 1).await?;
    produce("grouped", &["1", "2", "3", "4"]).await?;
    for _ in 0..2 {
        let consumer: StreamConsumer = readers("readers").create()?;
        consumer.subscribe(&["grouped"])?;
        take(&consumer, 2).await?;
        consumer.commit_consumer_state(CommitMode::Sync)?;
        println!("{:?}", consumer.committed(WAIT)?.to_topic_map());
    }
    Ok(())
}

async fn stored() -> KafkaResult<()> {
    create("stored", 1).await?;
    produce("stored", &["1", "2", "3"]).await?;
    for _ in 0..2 {
        let mut config = readers("storers");
        config.set("enable.auto.commit", "true").set("enable.auto.offset.store", "false");
        let consumer: StreamConsumer = config.create()?;
        consumer.subscribe(&["stored"])?;
        take(&consumer, 1).await?;
    }
    Ok(())
}

async fn offsets() -> KafkaResult<()> {
    create("offsets", 1).await?;
    produce("offsets", &["1", "2", "3"]).await?;
    let consumer: BaseConsumer = readers("offsets").create()?;
    println!("{:?}", consumer.fetch_watermarks("offsets", 0, WAIT)?);
    for time in [1, 4_102_444_800_000] {
        let mut times = TopicPartitionList::new();
        times.add_partition_offset("offsets", 0, Offset::Offset(time))?;
        println!("{:?}", consumer.offsets_for_times(times, WAIT)?.to_topic_map());
    }
    let mut from = TopicPartitionList::new();
    from.add_partition_offset("offsets", 0, Offset::OffsetTail(1))?;
    consumer.assign(&from)?;
    let record = consumer.poll(WAIT).transpose()?;
    println!("{:?}", record.map(|record| record.offset()));
    consumer.seek("offsets", 0, Offset::Beginning, WAIT)?;
    let record = consumer.poll(WAIT).transpose()?;
    println!("{:?}", record.map(|record| record.offset()));
    Ok(())
}

async fn transactions() -> KafkaResult<()> {
    create("paid", 1).await?;
    let mut config = config();
    config.set("transactional.id", "page");
    let producer: FutureProducer = config.create()?;
    producer.init_transactions(WAIT)?;
    let reader: StreamConsumer = readers("payers").create()?;
    for (value, commits) in [("committed", true), ("aborted", false), ("last", true)] {
        producer.begin_transaction()?;
        let record = FutureRecord::to("paid").key("key").payload(value).partition(0);
        producer.send(record, WAIT).await.map_err(|(error, _)| error)?;
        let mut read = TopicPartitionList::new();
        read.add_partition_offset("simple", 0, Offset::Offset(value.len() as i64))?;
        let group = reader.group_metadata().expect("a group");
        producer.send_offsets_to_transaction(&read, &group, WAIT)?;
        if commits { producer.commit_transaction(WAIT)? } else { producer.abort_transaction(WAIT)? }
        let mut asked = TopicPartitionList::new();
        asked.add_partition("simple", 0);
        println!("{:?}", reader.committed_offsets(asked, WAIT)?.to_topic_map());
    }
    let consumer: StreamConsumer = readers("committed").set("isolation.level", "read_committed").create()?;
    consumer.subscribe(&["paid"])?;
    take(&consumer, 2).await
}

async fn administration() -> KafkaResult<()> {
    create("managed", 1).await?;
    create("managed", 1).await?;
    let admin: AdminClient<DefaultClientContext> = config().create()?;
    let options = AdminOptions::new();
    println!("{:?}", admin.create_partitions(&[NewPartitions::new("managed", 3)], &options).await?);
    let resource = ResourceSpecifier::Topic("managed");
    let change = AlterConfig::new(resource).set("retention.ms", "1000");
    println!("{:?}", admin.alter_configs(&[change], &options).await?);
    for described in admin.describe_configs(&[resource], &options).await? {
        let entry = described.ok().and_then(|found| found.get("retention.ms").cloned());
        println!("{:?}", entry.map(|entry| (entry.value, entry.source, entry.is_default)));
    }
    println!("{:?}", admin.delete_groups(&["readers", "nobody"], &options).await?);
    println!("{:?}", admin.delete_topics(&["managed", "nowhere"], &options).await?);
    Ok(())
}

async fn metadata() -> KafkaResult<()> {
    let consumer: BaseConsumer = readers("metadata").create()?;
    let metadata = consumer.fetch_metadata(Some("simple"), WAIT)?;
    for topic in metadata.topics() {
        let leaders: Vec<i32> = topic.partitions().iter().map(|partition| partition.leader()).collect();
        println!("{} {leaders:?} of {} brokers", topic.name(), metadata.brokers().len());
    }
    let groups = consumer.fetch_group_list(Some("simple"), WAIT)?;
    for group in groups.groups() {
        println!("{} {} {:?}", group.name(), group.state(), group.protocol_type());
    }
    Ok(())
}
