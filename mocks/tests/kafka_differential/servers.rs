//! The clusters that are compared: real brokers of our own, and the mock that is to be like them.
//!
//! Both have the same settings: those of `ci/kafka`, and no retention, for records here may have any time.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use squall_mocks::Clock;
use squall_mocks::kafka::{KafkaCluster, KafkaOptions, RunningCluster};

use crate::pair::{Both, Pair};

/// Records are kept for ever: brokers delete old ones half a minute after they started.
const RETENTION: (&str, &str) = ("log.retention.ms", "-1");

/// The program that starts real brokers, if that and Java are there.
pub fn find() -> Result<String, String> {
    let program = std::env::var("SQUALL_KAFKA").map_err(|_| "SQUALL_KAFKA names no program".to_owned())?;
    let java = Command::new("java").arg("-version").stderr(Stdio::null()).status();
    java.map_err(|error| format!("cannot run java: {error}"))?;
    Ok(program)
}

/// A pair of clusters of as many brokers, whose ids are 1, 2 and so on.
pub struct Servers {
    /// `host:port` of every broker.
    pub addresses: Both<Vec<String>>,
    _real: Real,
    _mock: Mock,
}

impl Servers {
    pub fn start(brokers: usize) -> Result<Self, String> {
        let real = Real::start(brokers)?;
        let mock = Mock::start(brokers)?;
        let split = |text: &str| text.split(',').map(str::to_owned).collect();
        let addresses = Both { real: split(&real.bootstrap), mock: split(&mock.running.bootstrap) };
        let servers = Self { addresses, _real: real, _mock: mock };
        Pair::run(&servers, Pair::await_coordinators)?;
        Ok(servers)
    }
}

struct Real {
    bootstrap: String,
    program: Child,
}

impl Real {
    fn start(brokers: usize) -> Result<Self, String> {
        let version = std::env::var("SQUALL_KAFKA_VERSION").unwrap_or_else(|_| "4.3".to_owned());
        let mut program = Command::new(find()?)
            .args(["start", &version, &brokers.to_string(), &format!("{}={}", RETENTION.0, RETENTION.1)])
            // It serves until this ends, whichever way we do.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start the real brokers: {error}"))?;
        let mut bootstrap = String::new();
        let output = program.stdout.take().ok_or("the program has no output")?;
        BufReader::new(output).read_line(&mut bootstrap).map_err(|error| error.to_string())?;
        let real = Self { bootstrap: bootstrap.trim().to_owned(), program };
        match real.bootstrap.is_empty() {
            true => Err("the real brokers do not start; what they said is above".to_owned()),
            false => Ok(real),
        }
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        drop(self.program.stdin.take());
        let _ = self.program.wait();
    }
}

struct Mock {
    running: RunningCluster,
    _runtime: tokio::runtime::Runtime,
}

impl Mock {
    fn start(brokers: usize) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let mut options = KafkaOptions::brokers(brokers);
        options.clock = Clock::system();
        options.broker_configs.insert(RETENTION.0.to_owned(), RETENTION.1.to_owned());
        options.offsets_topic_partitions = 5;
        options.offsets_topic_at_start = false;
        let running =
            runtime.block_on(KafkaCluster::start_tcp(options)).map_err(|error| error.to_string())?;
        Ok(Self { running, _runtime: runtime })
    }
}
