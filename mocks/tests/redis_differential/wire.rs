//! Two servers, and connections to them.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::same::same;
use crate::servers::{Mock, Real, Setting};

/// A real server and a mock. Trials take turns: both servers are one state.
pub struct Servers {
    real: Real,
    mock: Mock,
    turn: Mutex<()>,
}

impl Servers {
    pub fn start(setting: &Setting) -> Result<Self, String> {
        Ok(Self { real: Real::start(setting)?, mock: Mock::start(setting)?, turn: Mutex::new(()) })
    }

    /// Where the real server and the mock listen.
    pub fn addresses(&self) -> [SocketAddr; 2] {
        [self.real.address, self.mock.address]
    }

    /// Fresh connections to both servers, which are emptied, until the value is dropped.
    pub fn pair(&self, version: u8) -> Result<Pair<'_>, String> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pair = Pair {
            real: Connection::open(self.real.address).map_err(|error| format!("real: {error}"))?,
            mock: Connection::open(self.mock.address).map_err(|error| format!("mock: {error}"))?,
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
pub const RESET: [&str; 14] = [
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
    "config set hash-max-listpack-entries 512",
    "config set set-max-intset-entries 512",
    "config set stream-node-max-bytes 4096 stream-node-max-entries 100",
    "config set zset-max-listpack-entries 128 zset-max-listpack-value 64",
];

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
