//! `squall mock`: a mock server by itself, on real ports and in real time, for services in any language.

mod redis;

use std::io;

use clap::{Args, Subcommand};
use squall_mocks::Clock;
use squall_mocks::kafka::{KafkaCluster, KafkaOptions};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{Context, Failure};

#[derive(Args)]
pub(super) struct MockArgs {
    #[command(subcommand)]
    server: Server,
}

#[derive(Subcommand)]
enum Server {
    /// A Redis server; mocks/SUPPORT.md lists its commands.
    Redis(redis::RedisArgs),
    /// A Kafka cluster; mocks/SUPPORT.md lists its APIs.
    Kafka {
        /// The address brokers listen on and tell clients.
        #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
        host: String,
        /// The first broker's port; the others follow. 0 takes free ones.
        #[arg(long, value_name = "PORT", default_value_t = 9092)]
        port: u16,
        /// How many brokers.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
        brokers: u16,
        /// Create a topic; may be given several times.
        #[arg(long, value_name = "NAME:PARTITIONS", value_parser = topic)]
        topic: Vec<(String, i32)>,
        /// Create topics that clients ask about.
        #[arg(long)]
        auto_create_topics: bool,
    },
}

fn topic(text: &str) -> Result<(String, i32), String> {
    let (name, partitions) = text.split_once(':').unwrap_or((text, "1"));
    let partitions = partitions.parse().ok().filter(|n| (1..=10_000).contains(n) && !name.is_empty());
    let expected = || format!("expected a topic like orders:3, found {text:?}");
    Ok((name.to_owned(), partitions.ok_or_else(expected)?))
}

/// Serves until the program is ended.
pub(super) fn mock(arguments: MockArgs, context: &mut Context<'_>) -> Result<u8, Failure> {
    let (host, port, brokers, topic, auto_create_topics) = match arguments.server {
        Server::Redis(arguments) => return redis::run(&arguments, context),
        Server::Kafka { host, port, brokers, topic, auto_create_topics } => {
            (host, port, brokers, topic, auto_create_topics)
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(kafka(&host, port, brokers, &topic, auto_create_topics, context))
}

async fn kafka(
    host: &str,
    port: u16,
    brokers: u16,
    topics: &[(String, i32)],
    auto_create_topics: bool,
    context: &mut Context<'_>,
) -> Result<u8, Failure> {
    let mut listeners = Vec::new();
    for n in 0..brokers {
        let port = if port == 0 { 0 } else { port.saturating_add(n) };
        listeners.push(bind(&format!("{host}:{port}")).await?);
    }
    let addresses: Vec<String> =
        listeners.iter().map(|it| it.local_addr().map(|at| at.to_string())).collect::<io::Result<_>>()?;
    let options = KafkaOptions {
        clock: Clock::system(),
        auto_create_topics,
        ..KafkaOptions::advertised(addresses.clone())
    };
    let cluster = KafkaCluster::new(options);
    for (name, partitions) in topics {
        let refused = |error| Failure::Invalid(format!("error: topic {name}: {error}"));
        cluster.create_topic(name, *partitions).map_err(refused)?;
    }
    let mut nodes = JoinSet::new();
    for (node, listener) in (1..).zip(listeners) {
        let cluster = cluster.clone();
        nodes.spawn(async move { cluster.serve(node, listener).await });
    }
    announce(context, &addresses.join(","))?;
    while let Some(ended) = nodes.join_next().await {
        let ended = ended.map_err(io::Error::other)?;
        ended.map_err(io::Error::other)?;
    }
    Ok(0)
}

async fn bind(address: &str) -> Result<TcpListener, Failure> {
    let taken = |error| Failure::Address { address: address.to_owned(), source: error };
    TcpListener::bind(address).await.map_err(taken)
}

/// One line with the address, at once: whoever started the program waits for it.
fn announce(context: &mut Context<'_>, address: &str) -> Result<(), Failure> {
    writeln!(context.out, "{address}")?;
    Ok(context.out.flush()?)
}
