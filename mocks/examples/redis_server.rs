//! A Redis server on a port, in real time: `cargo run -p squall-mocks --example redis_server -- 127.0.0.1:6379`.
//!
//! It has no replica, so a failover would lose nothing and writes cost nothing extra.

use squall_mocks::Clock;
use squall_mocks::redis::{Horizon, RedisOptions, RedisServer};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "the address is what the caller waits for")]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:6379".to_owned());
    let options = RedisOptions { clock: Clock::system(), horizon: Horizon::NONE, ..RedisOptions::default() };
    let server = RedisServer::new(options);
    println!("redis://{}", server.start_tcp(&address).await?);
    std::future::pending().await
}
