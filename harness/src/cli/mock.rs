//! `squall mock`: a mock server by itself, on real ports and in real time, for services in any language.

mod kafka;
mod redis;

use clap::{Args, Subcommand};
use tokio::net::TcpListener;

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
    Kafka(kafka::KafkaArgs),
}

/// Serves until the program is ended.
pub(super) fn mock(arguments: MockArgs, context: &mut Context<'_>) -> Result<u8, Failure> {
    match arguments.server {
        Server::Redis(arguments) => redis::run(&arguments, context),
        Server::Kafka(arguments) => kafka::run(&arguments, context),
    }
}

async fn bind(address: &str) -> Result<TcpListener, Failure> {
    let taken = |error| Failure::Address { address: address.to_owned(), source: error };
    TcpListener::bind(address).await.map_err(taken)
}
