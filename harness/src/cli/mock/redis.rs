//! `squall mock redis`: takes the command line of `redis-server`, so that whatever starts that can start this.
//!
//! Standard output gets one line per address, `redis://…`, `unix://…` or `http://…` (the control port), then the
//! line by which programs see that the real one is ready; `--logfile` gets them too. What the mock has no use for
//! (snapshots, append-only files) is accepted; what would make it another server (TLS, modules) is refused.

mod daemon;
mod peers;

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use squall_mocks::Clock;
use squall_mocks::net::Listener;
use squall_mocks::redis::{Files, Horizon, RedisOptions, RedisServer, Startup};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use super::super::{Context, Failure, control};
use super::bind;

/// What the real program prints for `--version`, with the mock's name where the allocator's is.
const VERSION: &str = "Redis server v=7.0.15 sha=00000000:0 malloc=squall bits=64 build=0";

/// What programs that start a server look for in its log, with what the real one has right before it.
const READY: &str = "* Ready to accept connections";

const USAGE: &str = "\
  --listen HOST:PORT   serve one address, whatever the configuration says
  --control HOST:PORT  a port for faults and questions: docs/mock-control.md

Then what redis-server takes: a configuration file (- for standard input), then
any parameter of CONFIG as --name value. Port 0 after --listen and --control is
a free one. Standard output tells the addresses. Without --bind and --listen it
listens on the loopback addresses only.

  squall mock redis                            127.0.0.1:6379
  squall mock redis --listen 127.0.0.1:0
  squall mock redis --port 7000 --requirepass secret --aclfile users.acl
  squall mock redis --port 0 --unixsocket /tmp/r.sock
  squall mock redis redis.conf --daemonize yes --pidfile r.pid --logfile r.log";

/// A Redis server.
#[derive(Args)]
#[command(after_help = USAGE)]
pub(super) struct RedisArgs {
    /// Options and what redis-server takes: see below.
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

struct Disk;

impl Files for Disk {
    fn read(&self, path: &str) -> io::Result<String> {
        std::fs::read_to_string(path)
    }

    fn write(&self, path: &str, text: &str) -> io::Result<()> {
        // Whoever reads meanwhile reads the whole old file or the whole new one.
        let draft = format!("{path}.tmp-{}", std::process::id());
        std::fs::write(&draft, text)?;
        std::fs::rename(&draft, path).inspect_err(|_| drop(std::fs::remove_file(&draft)))
    }

    fn standard_input(&self) -> io::Result<String> {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        Ok(text)
    }
}

pub(super) fn run(arguments: &RedisArgs, context: &mut Context<'_>) -> Result<u8, Failure> {
    let mut words = arguments.arguments.clone();
    if let [first] = words.as_slice()
        && (first == "-v" || first == "--version")
    {
        writeln!(context.out, "{VERSION}")?;
        return Ok(0);
    }
    let listen = take_address(&mut words, "--listen")?;
    let control = take_address(&mut words, "--control")?;
    if let Some(file) = words.first_mut().filter(|word| !word.starts_with('-')) {
        // It may be written again when the server has moved to `dir`.
        *file = std::path::absolute(&*file)?.to_string_lossy().into_owned();
    }
    let startup = match Startup::parse(&words, Arc::new(Disk)) {
        Ok(startup) => startup,
        Err(error) => return refuse(&error.to_string()),
    };
    if startup.get("daemonize") == "yes" {
        return daemon::start(&arguments.arguments, context);
    }
    if startup.is_given("dir")
        && let Err(error) = std::env::set_current_dir(startup.get("dir"))
    {
        return refuse(&format!("Can't chdir to '{}': {error}", startup.get("dir")));
    }
    // One thread for connections; a script that runs for long keeps it, and another takes over.
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    // Connections get their turns in the order in which commands came, as in the real program: the last to wake
    // does not go first.
    #[cfg(tokio_unstable)]
    builder.disable_lifo_slot();
    let runtime = builder.worker_threads(1).enable_all().build()?;
    runtime.block_on(serve(startup, listen, control, context))
}

/// Takes one of the program's own options beside those of redis-server: an address in one word.
fn take_address(words: &mut Vec<String>, option: &str) -> Result<Option<String>, Failure> {
    let given = |word: &String| word.strip_prefix(option).is_some_and(|rest| rest.starts_with('='));
    if let Some(at) = words.iter().position(given) {
        return Ok(Some(words.remove(at)[option.len() + 1..].to_owned()));
    }
    let Some(at) = words.iter().position(|word| word == option) else { return Ok(None) };
    if at + 1 >= words.len() {
        return Err(Failure::Invalid(format!("error: {option} takes an address like 127.0.0.1:6379")));
    }
    let address = words.remove(at + 1);
    words.remove(at);
    Ok(Some(address))
}

/// The real program explains on standard error and exits with 1.
fn refuse(why: &str) -> Result<u8, Failure> {
    writeln!(io::stderr(), "{why}")?;
    Ok(1)
}

/// Files that go when the server goes.
#[derive(Default)]
struct Leftovers(Vec<PathBuf>);

impl Drop for Leftovers {
    fn drop(&mut self) {
        for path in &self.0 {
            // Gone already is as good.
            let _ = std::fs::remove_file(path);
        }
    }
}

async fn serve(
    startup: Startup,
    listen: Option<String>,
    control: Option<String>,
    context: &mut Context<'_>,
) -> Result<u8, Failure> {
    let mut leftovers = Leftovers::default();
    let mut addresses = Vec::new();
    let mut listeners: Vec<Box<dyn Listener>> = Vec::new();
    let mut port = None;
    for listener in tcp_listeners(&startup, listen).await? {
        let address = listener.local_addr()?;
        port.get_or_insert(address.port());
        addresses.push(format!("redis://{address}"));
        listeners.push(Box::new(listener));
    }
    let path = startup.get("unixsocket");
    if !path.is_empty() {
        listeners.push(Box::new(unix_listener(path, startup.get("unixsocketperm"))?));
        leftovers.0.push(PathBuf::from(path));
        addresses.push(format!("unix://{path}"));
    }
    let pidfile = startup.get("pidfile");
    if !pidfile.is_empty() {
        std::fs::write(pidfile, format!("{}\n", std::process::id()))?;
        leftovers.0.push(PathBuf::from(pidfile));
    }
    let log = startup.get("logfile").to_owned();
    let control = control::listen(control.as_deref()).await?;
    if let Some(control) = &control {
        addresses.push(control.url()?);
    }
    // Without a control port nobody here can make it fail over, so nothing is kept for that.
    let horizon = if control.is_some() { Horizon::default() } else { Horizon::NONE };
    let options = RedisOptions { clock: Clock::system(), horizon, ..RedisOptions::default() };
    let server = match RedisServer::start_as(startup, options) {
        Ok(server) => server,
        Err(error) => return refuse(&error.to_string()),
    };
    server.reach_others(Arc::new(peers::Tcp));
    if let Some(port) = port {
        server.set_port(port);
    }
    let (mut end, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut running = JoinSet::new();
    for mut listener in listeners {
        let server = server.clone();
        running.spawn(async move { server.serve_dyn(listener.as_mut()).await });
    }
    running.spawn(control::serve_redis(control, server.clone()));
    announce(&log, &addresses, context)?;
    tokio::select! {
        biased;
        _ = end.recv() => {}
        _ = interrupt.recv() => {}
        () = server.ended() => {}
        Some(ended) = running.join_next() => ended.map_err(io::Error::other)??,
    }
    Ok(0)
}

/// Tells where the server listens, at once: whoever started the program waits for it.
fn announce(log: &str, addresses: &[String], context: &mut Context<'_>) -> Result<(), Failure> {
    let text = format!("{}\n{}:M {READY}\n", addresses.join("\n"), std::process::id());
    if !log.is_empty() {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(log)?;
        file.write_all(text.as_bytes())?;
    }
    context.out.write_all(text.as_bytes())?;
    Ok(context.out.flush()?)
}

/// Listens on the address asked for, else as `bind` and `port` say; a bound address that starts with a dash
/// may be missing from this machine.
async fn tcp_listeners(startup: &Startup, listen: Option<String>) -> Result<Vec<TcpListener>, Failure> {
    if let Some(address) = listen {
        return Ok(vec![bind(&address).await?]);
    }
    let port = startup.get("port");
    if port == "0" {
        return Ok(Vec::new());
    }
    let hosts = if startup.is_given("bind") { startup.get("bind") } else { "127.0.0.1 -::1" };
    let mut listeners = Vec::new();
    for host in hosts.split_ascii_whitespace() {
        let (host, may_be_missing) = host.strip_prefix('-').map_or((host, false), |host| (host, true));
        let address = match host {
            "*" => format!("0.0.0.0:{port}"),
            "::*" => format!("[::]:{port}"),
            host if host.contains(':') => format!("[{host}]:{port}"),
            host => format!("{host}:{port}"),
        };
        match bind(&address).await {
            Ok(listener) => listeners.push(listener),
            Err(_) if may_be_missing => {}
            Err(error) => return Err(error),
        }
    }
    Ok(listeners)
}

fn unix_listener(path: &str, permissions: &str) -> Result<UnixListener, Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    // What an earlier server left there is in the way, and nobody's.
    let _ = std::fs::remove_file(path);
    let taken = |source| Failure::Address { address: path.to_owned(), source };
    let listener = UnixListener::bind(path).map_err(taken)?;
    if let Some(mode) = u32::from_str_radix(permissions, 8).ok().filter(|mode| *mode != 0) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(taken)?;
    }
    Ok(listener)
}
