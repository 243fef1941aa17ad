//! Two servers, connections to them, and when two replies are the same.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use squall_mocks::Clock;
use squall_mocks::redis::{Horizon, RedisOptions, RedisServer};

/// A real server and a mock. Trials take turns: both servers are one state.
pub struct Servers {
    real: SocketAddr,
    mock: SocketAddr,
    turn: Mutex<()>,
    child: Child,
    _runtime: tokio::runtime::Runtime,
    _data: tempfile::TempDir,
}

impl Servers {
    pub fn start() -> Result<Self, String> {
        let program = std::env::var("SQUALL_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let version = Command::new(&program).arg("--version").output();
        let version = version.map_err(|error| format!("cannot run {program}: {error}"))?;
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        if !version.contains("v=7.0.") {
            return Err(format!("expected redis-server 7.0, found {}", version.trim()));
        }
        let data = tempfile::tempdir().map_err(|error| error.to_string())?;
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let real = free.map_err(|error| error.to_string())?;
        let child = Command::new(&program)
            .args(["--port", &real.port().to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--enable-debug-command", "yes", "--dir"])
            .arg(data.path())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let mock = runtime.block_on(async {
            // The real server has no replica either.
            let (clock, horizon) = (Clock::system(), Horizon::NONE);
            let server = RedisServer::new(RedisOptions { clock, horizon, ..RedisOptions::default() });
            server.start_tcp("127.0.0.1:0").await
        });
        let mock = mock.map_err(|error| error.to_string())?;
        let servers = Self { real, mock, turn: Mutex::new(()), child, _runtime: runtime, _data: data };
        servers.wait_for_real()?;
        Ok(servers)
    }

    fn wait_for_real(&self) -> Result<(), String> {
        // Each refused connection costs a syscall, not a sleep; the server takes milliseconds to listen.
        let answers = (0..1_000_000).any(|_| {
            let connected = TcpStream::connect_timeout(&self.real, Duration::from_secs(1));
            connected.is_err().then(std::thread::yield_now).is_none()
        });
        answers.then_some(()).ok_or_else(|| "the real server does not listen".to_owned())
    }

    /// Where the real server and the mock listen.
    pub fn addresses(&self) -> [SocketAddr; 2] {
        [self.real, self.mock]
    }

    /// Fresh connections to both servers, which are emptied, until the value is dropped.
    pub fn pair(&self, version: u8) -> Result<Pair<'_>, String> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pair = Pair {
            real: Connection::open(self.real).map_err(|error| format!("real: {error}"))?,
            mock: Connection::open(self.mock).map_err(|error| format!("mock: {error}"))?,
            spread_ms: 0,
            _turn: turn,
        };
        for line in RESET {
            pair.ask(&words(line))?;
        }
        if version == 3 {
            pair.ask(&words("hello 3"))?;
        }
        Ok(pair)
    }
}

/// What brings a server back to how it started.
const RESET: [&str; 13] = [
    "acl deluser alice bob carol dave",
    "client unpause",
    "flushall",
    "function flush",
    "slowlog reset",
    "script flush",
    "config resetstat",
    "config set notify-keyspace-events ''",
    "debug set-active-expire 0",
    "config set hll-sparse-max-bytes 3000",
    "config set set-max-intset-entries 512",
    "config set stream-node-max-bytes 4096 stream-node-max-entries 100",
    "config set zset-max-listpack-entries 128 zset-max-listpack-value 64",
];

impl Drop for Servers {
    fn drop(&mut self) {
        // It is ours, and holds nothing worth saving.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection to each server.
pub struct Pair<'a> {
    real: Connection,
    mock: Connection,
    /// The longest time between what one server and the other did with a command.
    spread_ms: i64,
    _turn: MutexGuard<'a, ()>,
}

impl Pair<'_> {
    /// Sends a command to both and answers both replies: the real one, and the mock's.
    pub fn ask(&mut self, command: &[Vec<u8>]) -> Result<(Resp, Resp), String> {
        let mut replies = self.ask_all(&[command.to_vec()])?;
        replies.pop().ok_or_else(|| "no reply".to_owned())
    }

    /// [`Pair::ask`] for commands that are all sent before a reply is read: keep them few enough for the
    /// buffers of both connections.
    pub fn ask_all(&mut self, commands: &[Vec<Vec<u8>>]) -> Result<Vec<(Resp, Resp)>, String> {
        #[expect(clippy::disallowed_methods, reason = "deadlines are compared in real time")]
        let began = std::time::Instant::now();
        self.real.send_all(commands).map_err(|error| format!("real: {error}"))?;
        self.mock.send_all(commands).map_err(|error| format!("mock: {error}"))?;
        let mut replies = Vec::with_capacity(commands.len());
        for command in commands {
            let text = |bytes: &[u8]| latin1(bytes);
            let line = || command.iter().map(|word| text(word)).collect::<Vec<_>>().join(" ");
            let real = self.real.read().map_err(|error| format!("real: {error} at {}", line()))?;
            let mock = self.mock.read();
            let mock = mock.map_err(|error| format!("mock: {error} at {} (real: {real:?})", line()))?;
            replies.push((real, mock));
        }
        self.spread_ms = self.spread_ms.max(i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX));
        Ok(replies)
    }

    /// Whether two replies to a command say the same, given how far apart the servers ran it.
    pub fn same(&self, command: &[Vec<u8>], real: &Resp, mock: &Resp) -> bool {
        same(command, real, mock, self.spread_ms)
    }

    /// Sends each server a command of its own.
    pub fn ask_apart(&mut self, real: &[Vec<u8>], mock: &[Vec<u8>]) -> Result<(Resp, Resp), String> {
        let real = self.real.ask(real).map_err(|error| format!("real: {error}"))?;
        let mock = self.mock.ask(mock).map_err(|error| format!("mock: {error}"))?;
        Ok((real, mock))
    }
}

/// A reply as it came over the wire.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub enum Resp {
    Simple(String),
    Error(String),
    Int(i64),
    Bulk(String),
    Null(char),
    List(char, Vec<Resp>),
    Other(String),
}

/// One connection.
pub struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    pub fn send_all(&mut self, commands: &[Vec<Vec<u8>>]) -> io::Result<()> {
        let mut request = Vec::new();
        for command in commands {
            request.extend(format!("*{}\r\n", command.len()).bytes());
            for argument in command {
                request.extend(format!("${}\r\n", argument.len()).bytes());
                request.extend(argument);
                request.extend(b"\r\n");
            }
        }
        self.reader.get_mut().write_all(&request)
    }

    pub fn ask(&mut self, command: &[Vec<u8>]) -> io::Result<Resp> {
        self.send(command)?;
        self.read()
    }

    pub fn send(&mut self, command: &[Vec<u8>]) -> io::Result<()> {
        self.send_all(&[command.to_vec()])
    }

    /// Whether something to be read arrives within `patience`.
    pub fn has_mail(&mut self, patience: Duration) -> io::Result<bool> {
        self.reader.get_ref().set_read_timeout(Some(patience))?;
        let found = self.reader.fill_buf().map(|bytes| !bytes.is_empty());
        self.reader.get_ref().set_read_timeout(Some(Duration::from_secs(10)))?;
        match found {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(false)
            }
            other => other,
        }
    }

    pub fn read(&mut self) -> io::Result<Resp> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        let line = latin1(line.strip_suffix(b"\r\n").ok_or(io::ErrorKind::UnexpectedEof)?);
        let (mark, rest) = (line.chars().next().unwrap_or('?'), line.get(1..).unwrap_or_default());
        let length = || rest.parse::<i64>().map_err(|_| io::Error::other(format!("odd length {line:?}")));
        Ok(match mark {
            '+' => Resp::Simple(rest.to_owned()),
            '-' => Resp::Error(rest.to_owned()),
            ':' => Resp::Int(length()?),
            '_' => Resp::Null('_'),
            '$' | '*' if length()? < 0 => Resp::Null(mark),
            '$' | '=' => {
                let mut body = vec![0; usize::try_from(length()?).unwrap_or(0) + 2];
                self.reader.read_exact(&mut body)?;
                Resp::Bulk(latin1(&body[..body.len() - 2]))
            }
            '*' | '~' | '>' => Resp::List(mark, self.read_items(length()?)?),
            '%' => Resp::List(mark, self.read_items(length()? * 2)?),
            _ => Resp::Other(line),
        })
    }

    fn read_items(&mut self, count: i64) -> io::Result<Vec<Resp>> {
        (0..count).map(|_| self.read()).collect()
    }
}

pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Splits a line at spaces; quotes of either kind keep spaces together.
pub fn words(line: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, tail) = if first == '\'' || first == '"' {
            rest[1..].split_once(first).unwrap_or((&rest[1..], ""))
        } else {
            rest.split_once(' ').unwrap_or((rest, ""))
        };
        words.push(word.replace("\\n", "\n").into_bytes());
        rest = tail.trim_start();
    }
    words
}

/// Whether two replies to a command say the same.
fn same(command: &[Vec<u8>], real: &Resp, mock: &Resp, spread_ms: i64) -> bool {
    let word = |at: usize| command.get(at).map(|word| latin1(word).to_ascii_lowercase()).unwrap_or_default();
    let name = word(0);
    match name.as_str() {
        "expiretime" | "pexpiretime" if is_given(real) || is_given(mock) => real == mock,
        "ttl" | "expiretime" => near(real, mock, 1 + spread_ms.div_euclid(1000)),
        // The deadline was set that far apart, and is read that far apart.
        "pttl" => near(real, mock, 2 * spread_ms + 1),
        "pexpiretime" => near(real, mock, spread_ms + 1),
        // Redis counts idle time with a clock of whole seconds.
        "object" if word(1) == "idletime" => match (real, mock) {
            (Resp::Int(real), Resp::Int(mock)) => (real - mock).abs() <= 2,
            _ => real == mock,
        },
        // What these answer differs from server to server, or is drawn by chance.
        "time" | "info" | "randomkey" | "hello" | "lastsave" => {
            std::mem::discriminant(real) == std::mem::discriminant(mock)
        }
        "client" if matches!(word(1).as_str(), "id" | "list" | "info") => {
            std::mem::discriminant(real) == std::mem::discriminant(mock)
        }
        "acl" if word(1) == "cat" && matches!((real, mock), (Resp::List(..), Resp::List(..))) => true,
        // The real server tells the commands of a rule in the order of its hash table.
        "acl" if matches!(word(1).as_str(), "getuser" | "list") => any_order(real) == any_order(mock),
        "function" if word(1) == "list" => sorted(real) == sorted(mock),
        "pubsub" if word(1).ends_with("channels") => sorted(real) == sorted(mock),
        "keys" | "hkeys" | "hvals" | "hgetall" | "scan" | "hscan" | "config" | "smembers" | "sinter"
        | "sunion" | "sdiff" | "sscan" | "zscan" => sorted(real) == sorted(mock),
        "xinfo" | "xpending" => without_times(real) == without_times(mock),
        "hrandfield" | "srandmember" | "spop" | "zrandmember" => shape(real) == shape(mock),
        _ => real == mock,
    }
}

/// Whether a deadline is one that templates draw, which has nothing to do with the time it was set at.
fn is_given(reply: &Resp) -> bool {
    matches!(reply, Resp::Int(deadline) if *deadline > 0 && deadline % 4_102_444_800 == 0)
}

fn near(real: &Resp, mock: &Resp, tolerance: i64) -> bool {
    match (real, mock) {
        (Resp::Int(real), Resp::Int(mock)) if *real > 0 && *mock > 0 => (real - mock).abs() <= tolerance,
        _ => real == mock,
    }
}

/// The same reply with the order of its elements lost; keys stay with their values.
fn sorted(reply: &Resp) -> Resp {
    let Resp::List(mark, items) = reply else { return reply.clone() };
    let mut items: Vec<Resp> = items.iter().map(sorted).collect();
    items.sort_by(|left, right| left.partial_cmp(right).unwrap_or(std::cmp::Ordering::Equal));
    Resp::List(*mark, items)
}

/// The same reply without times of delivery, which are Unix milliseconds or what follows a consumer.
fn without_times(reply: &Resp) -> Resp {
    const YEAR_2001: i64 = 1_000_000_000_000;
    match reply {
        Resp::Int(YEAR_2001..) => Resp::Int(YEAR_2001),
        Resp::List(mark, items) => {
            let mut items: Vec<Resp> = items.iter().map(without_times).collect();
            let idle = match items.as_slice() {
                [Resp::Bulk(_), Resp::Bulk(_), Resp::Int(_), Resp::Int(_)] => Some(2),
                _ => items.iter().position(|item| *item == Resp::Bulk("idle".to_owned())).map(|at| at + 1),
            };
            idle.and_then(|at| items.get_mut(at)).into_iter().for_each(|idle| *idle = Resp::Int(0));
            Resp::List(*mark, items)
        }
        other => other.clone(),
    }
}

/// The same reply with the words of its strings sorted.
fn any_order(reply: &Resp) -> Resp {
    match reply {
        Resp::List(mark, items) => Resp::List(*mark, items.iter().map(any_order).collect()),
        Resp::Bulk(text) => {
            let mut words: Vec<&str> = text.split(' ').collect();
            words.sort_unstable();
            Resp::Bulk(words.join(" "))
        }
        other => other.clone(),
    }
}

/// Kinds and lengths only.
fn shape(reply: &Resp) -> Resp {
    match reply {
        Resp::List(mark, items) => Resp::List(*mark, items.iter().map(shape).collect()),
        Resp::Bulk(_) => Resp::Bulk(String::new()),
        Resp::Other(text) => Resp::Other(text.chars().take(1).collect()),
        other => other.clone(),
    }
}
