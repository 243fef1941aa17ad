//! A Redis server on a port, in real time: `cargo run -p squall-mocks --example redis_server -- 127.0.0.1:6379`.

use squall_mocks::Clock;
use squall_mocks::redis::{RedisOptions, RedisServer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:6379".to_owned());
    let server = RedisServer::new(RedisOptions {
        clock: Clock::system(),
        horizon: squall_mocks::redis::Horizon { writes: 0, ..Default::default() },
        ..RedisOptions::default()
    });
    println!("redis://{}", server.start_tcp(&address).await?);
    std::future::pending().await
}
