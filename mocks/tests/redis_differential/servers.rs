//! The servers that are compared: a real one of our own, and the mock that is to be like it.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use squall_mocks::Clock;
use squall_mocks::redis::{Horizon, RedisOptions, RedisServer, Version};

use crate::wire::{Connection, Resp, words};

/// Which real server is started, and the mock that is to be like it.
pub struct Setting {
    /// The environment variable that names the program.
    pub variable: &'static str,
    /// The program if the variable does not.
    pub program: Option<&'static str>,
    /// The version the program must be of: `7.0`.
    pub version: &'static str,
    /// What the mock behaves as.
    pub mock: Version,
    /// Whether both are one node of a cluster, which has every slot.
    pub cluster: bool,
}

/// What everything is compared with.
pub const PLAIN: Setting = Setting {
    variable: "SQUALL_REDIS_SERVER",
    program: Some("redis-server"),
    version: "7.0",
    mock: Version::V7_0,
    cluster: false,
};

/// The same server as the only node of a cluster.
pub const CLUSTER: Setting = Setting { cluster: true, ..PLAIN };

/// The closest there is to 7.4: what is compared with it are deadlines of hash fields, and little else.
pub const NEXT: Setting = Setting {
    variable: "SQUALL_REDIS_NEXT",
    program: None,
    version: "8.0",
    mock: Version::V7_4,
    cluster: false,
};

impl Setting {
    /// The real server's program.
    pub fn find(&self) -> Result<String, String> {
        let named = std::env::var(self.variable).ok();
        let program = named.or(self.program.map(str::to_owned));
        let program = program.ok_or_else(|| format!("{} names no program", self.variable))?;
        let version = Command::new(&program).arg("--version").output();
        let version = version.map_err(|error| format!("cannot run {program}: {error}"))?;
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        if !version.contains(&format!("v={}.", self.version)) {
            return Err(format!("expected redis-server {}, found {}", self.version, version.trim()));
        }
        Ok(program)
    }
}

/// A real server of our own.
pub struct Real {
    pub address: SocketAddr,
    child: Child,
    _data: tempfile::TempDir,
}

impl Real {
    pub fn start(setting: &Setting) -> Result<Self, String> {
        let program = setting.find()?;
        let data = tempfile::tempdir().map_err(|error| error.to_string())?;
        let free = || TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free().map_err(|error| error.to_string())?;
        // The port of the bus would be 10,000 more, which there may not be.
        let bus = free().map_err(|error| error.to_string())?.port().to_string();
        let cluster: &[&str] =
            if setting.cluster { &["--cluster-enabled", "yes", "--cluster-port", &bus] } else { &[] };
        let child = Command::new(&program)
            .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(cluster)
            .args(["--enable-debug-command", "yes", "--dir"])
            .arg(data.path())
            // One version knows no other locale.
            .env("LC_ALL", "C")
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let real = Self { address, child, _data: data };
        real.wait()?;
        if setting.cluster {
            real.serve_every_slot().map_err(|error| format!("real: {error}"))?;
        }
        Ok(real)
    }

    fn wait(&self) -> Result<(), String> {
        // Each refused connection costs a syscall, not a sleep; the server takes milliseconds to listen.
        let answers = (0..1_000_000).any(|_| {
            let connected = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
            connected.is_err().then(std::thread::yield_now).is_none()
        });
        answers.then_some(()).ok_or_else(|| "the real server does not listen".to_owned())
    }

    /// Gives the node all slots, and waits until it says that the cluster is up.
    fn serve_every_slot(&self) -> io::Result<()> {
        let mut connection = Connection::open(self.address)?;
        connection.ask(&words("cluster addslotsrange 0 16383"))?;
        // It takes the node's next look at its cluster, ten times a second.
        for _ in 0..1_000_000 {
            let info = connection.ask(&words("cluster info"))?;
            if matches!(&info, Resp::Bulk(text) if text.contains("cluster_state:ok")) {
                return Ok(());
            }
        }
        Err(io::Error::other("the cluster does not come up"))
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        // It is ours, and holds nothing worth saving.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A mock of our own.
pub struct Mock {
    pub address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Mock {
    pub fn start(setting: &Setting) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let address = runtime.block_on(async {
            // The real server has no replica either.
            let (clock, horizon) = (Clock::system(), Horizon::NONE);
            let (version, cluster) = (setting.mock, setting.cluster);
            let options = RedisOptions { clock, horizon, version, cluster, ..RedisOptions::default() };
            RedisServer::new(options).start_tcp("127.0.0.1:0").await
        });
        let address = address.map_err(|error| error.to_string())?;
        Ok(Self { address, _runtime: runtime })
    }
}
