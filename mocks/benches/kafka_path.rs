//! What a node spends on producing and fetching: requests over TCP from a raw client in this process.
//!
//! Prints, for batches of several sizes, the processor time of the thread that serves and the records per second;
//! asserts nothing. The processor time holds on a busy machine too (Linux counts it; elsewhere it is the time that
//! passed). `cargo bench -p squall-mocks --no-default-features --features kafka --bench kafka_path` takes some
//! seconds.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, FetchRequest, FetchResponse, ProduceRequest, ProduceResponse, RequestHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable as _, Encodable as _, StrBytes};
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
use squall_mocks::kafka::{KafkaCluster, KafkaOptions};

/// Records of 100 bytes.
const RECORD: usize = 100;
const RECORDS: usize = 1_000_000;
/// Requests that are sent ahead of the oldest answer.
const AHEAD: usize = 5;
/// What librdkafka asks for.
const FETCH_BYTES: i32 = 1024 * 1024;
const PRODUCE_VERSION: i16 = 9;
const FETCH_VERSION: i16 = 12;

fn main() -> anyhow::Result<()> {
    // `cargo test --benches` runs benches too, to see that they work: a few records will do.
    let test = std::env::args().any(|argument| argument == "--test");
    println!("{:>8} {:>26} {:>26}", "records", "produce", "fetch");
    println!(
        "{:>8} {:>12} {:>13} {:>12} {:>13}",
        "a batch", "CPU ns/batch", "records/s", "CPU ns/batch", "records/s"
    );
    for per_batch in [1, 10, 100, 1_000, 9_000] {
        // Of the smallest fewer, for a round that takes as long.
        let batches = if test { 3 } else { (RECORDS / per_batch).min(200_000) };
        let (produce, fetch) = measure(per_batch, batches)?;
        println!("{per_batch:>8} {} {}", produce.line(per_batch, batches), fetch.line(per_batch, batches));
    }
    Ok(())
}

/// What one way through the records took.
struct Cost {
    passed: Duration,
    busy: Duration,
}

impl Cost {
    #[expect(clippy::cast_precision_loss, reason = "some millions")]
    fn line(&self, per_batch: usize, batches: usize) -> String {
        let rate = (per_batch * batches) as f64 / self.passed.as_secs_f64();
        format!("{:>12} {rate:>13.0}", self.busy.as_nanos() / batches as u128)
    }
}

/// A client: where the cluster is, how many records a batch has, and how many batches.
type Way = fn(&str, usize, usize) -> anyhow::Result<()>;

/// Serves on this thread what a client on another one asks.
fn measure(per_batch: usize, batches: usize) -> anyhow::Result<(Cost, Cost)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let running = KafkaCluster::start_tcp(KafkaOptions::brokers(1)).await?;
        running.cluster.create_topic("records", 1)?;
        let address = &running.bootstrap;
        let mut costs = Vec::new();
        let ways: [Way; 2] = [produce, fetch];
        for way in ways {
            let address = address.clone();
            let (passed, busy) = (now(), processor_time());
            tokio::task::spawn_blocking(move || way(&address, per_batch, batches)).await??;
            let passed = passed.elapsed();
            let busy =
                processor_time().zip(busy).map_or(passed, |(after, before)| after.saturating_sub(before));
            costs.push(Cost { passed, busy });
        }
        let fetch = costs.pop().context("two ways")?;
        Ok((costs.pop().context("two ways")?, fetch))
    })
}

fn produce(address: &str, per_batch: usize, batches: usize) -> anyhow::Result<()> {
    let mut stream = connect(address)?;
    let data = PartitionProduceData::default().with_records(Some(batch(per_batch)?));
    let topic = TopicProduceData::default().with_name(topic()).with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(1000).with_topic_data(vec![topic]);
    let frame = frame(ApiKey::Produce, PRODUCE_VERSION, &request)?;
    for sent in 0..batches + AHEAD {
        if sent < batches {
            stream.write_all(&frame)?;
        }
        if sent >= AHEAD {
            // Behind the correlation and no tagged fields.
            let answer = ProduceResponse::decode(&mut answer(&mut stream)?.slice(5..), PRODUCE_VERSION)?;
            let partition = answer.responses.first().and_then(|topic| topic.partition_responses.first());
            let error = partition.map(|partition| partition.error_code);
            anyhow::ensure!(error == Some(0), "expected records to be appended, found {answer:?}");
        }
    }
    Ok(())
}

fn fetch(address: &str, per_batch: usize, batches: usize) -> anyhow::Result<()> {
    let mut stream = connect(address)?;
    let end = i64::try_from(per_batch * batches)?;
    let mut offset = 0;
    while offset < end {
        let partition =
            FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(FETCH_BYTES);
        let topic = FetchTopic::default().with_topic(topic()).with_partitions(vec![partition]);
        let request = FetchRequest::default()
            .with_replica_id((-1).into())
            .with_max_bytes(50 * FETCH_BYTES)
            .with_max_wait_ms(500)
            .with_min_bytes(1)
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        stream.write_all(&frame(ApiKey::Fetch, FETCH_VERSION, &request)?)?;
        let answer = FetchResponse::decode(&mut answer(&mut stream)?.slice(5..), FETCH_VERSION)?;
        let partition = answer.responses.first().and_then(|topic| topic.partitions.first());
        let records = partition.and_then(|partition| partition.records.as_ref()).context("records")?;
        let before = offset;
        offset = behind(records, offset);
        anyhow::ensure!(offset > before, "expected records at offset {before}, found none: {answer:?}");
    }
    Ok(())
}

/// The offset behind the whole batches in `records`.
fn behind(records: &[u8], mut offset: i64) -> i64 {
    let mut rest = records;
    while let Some((head, _)) = rest.split_first_chunk::<27>() {
        let number = |at: usize| i32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let size = usize::try_from(number(8)).unwrap_or(usize::MAX).saturating_add(12);
        let Some(behind) = rest.get(size..) else { break };
        offset += i64::from(number(23)) + 1;
        rest = behind;
    }
    offset
}

fn batch(count: usize) -> anyhow::Result<Bytes> {
    let record = |number: i32| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset: number.into(),
        sequence: number - 1,
        timestamp: 1_767_225_600_000,
        key: None,
        value: Some(Bytes::from_static(&[b'x'; RECORD])),
        headers: Default::default(),
    };
    let records: Vec<Record> = (0..i32::try_from(count)?).map(record).collect();
    let mut out = BytesMut::new();
    RecordBatchEncoder::encode(
        &mut out,
        &records,
        &RecordEncodeOptions { version: 2, compression: Compression::None },
    )?;
    Ok(out.freeze())
}

fn topic() -> TopicName {
    TopicName(StrBytes::from_static_str("records"))
}

fn frame(
    api: ApiKey,
    version: i16,
    request: &impl kafka_protocol::protocol::Encodable,
) -> anyhow::Result<Bytes> {
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    let header = RequestHeader::default().with_request_api_key(api as i16).with_request_api_version(version);
    header.encode(&mut frame, api.request_header_version(version))?;
    request.encode(&mut frame, version)?;
    let size = i32::try_from(frame.len() - 4)?;
    frame[..4].copy_from_slice(&size.to_be_bytes());
    Ok(frame.freeze())
}

fn answer(stream: &mut TcpStream) -> anyhow::Result<Bytes> {
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let mut body = vec![0; usize::try_from(i32::from_be_bytes(size))?];
    stream.read_exact(&mut body)?;
    Ok(body.into())
}

fn connect(address: &str) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What this thread has used of its processor, where the system tells.
fn processor_time() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    told.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn now() -> Instant {
    Instant::now()
}
