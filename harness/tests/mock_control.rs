//! The documented requests of `docs/mock-control.md`, run against the program, and what the port refuses.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const DOCUMENT: &str = include_str!("../../docs/mock-control.md");

struct Mock {
    child: Child,
    redis: String,
    control: String,
}

impl Mock {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
        command.args(["mock", "redis", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("the output is piped")).lines();
        let mut address = |scheme: &str| {
            let line = lines.next().expect("a line").expect("text");
            line.strip_prefix(scheme).unwrap_or_else(|| panic!("expected {scheme}, found {line}")).to_owned()
        };
        let (redis, control) = (address("redis://"), address("http://"));
        assert_eq!(address(&child.id().to_string()), ":M * Ready to accept connections");
        Self { child, redis, control }
    }

    /// The status and the body.
    fn http(&self, head: &str, body: &[u8]) -> (u16, String) {
        let mut stream = connect(&self.control);
        let rest = format!("Host: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}\r\n{rest}").as_bytes()).expect("sent");
        // The answer may come before the body was read.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("an answer: {answer:?}"));
        (head[9..12].parse().expect("a status"), body.trim_end().to_owned())
    }

    fn curl(&self, line: &str) -> String {
        let words = words(line);
        let (mut method, mut body, mut path) = (None, String::new(), String::new());
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "-X" => method = words.next(),
                "-d" => body = words.next().expect("a body"),
                url => path = url.strip_prefix("localhost:6380").expect("the port").to_owned(),
            }
        }
        let default = if body.is_empty() { "GET" } else { "POST" };
        let method = method.unwrap_or_else(|| default.to_owned());
        self.http(&format!("{method} {path} HTTP/1.1"), body.as_bytes()).1
    }

    fn redis(&self, line: &str) -> String {
        let stream = connect(&self.redis);
        (&stream).write_all(format!("{line}\r\n").as_bytes()).expect("sent");
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).expect("an answer");
        answer.trim_end()[1..].to_owned()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
    stream
}

/// Splits at spaces outside of single quotes.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    let split = |(at, part): (usize, &str)| -> Vec<String> {
        if at % 2 == 1 { vec![part.to_owned()] } else { part.split_whitespace().map(str::to_owned).collect() }
    };
    parts.flat_map(split).collect()
}

/// Whether `text` is `pattern` with something in the place of each ellipsis.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        (rest, last) = (&rest[at + part.len()..], Some(part));
    }
    rest.is_empty() || last == Some("")
}

#[test]
fn every_documented_request_has_the_documented_answer() {
    let mock = Mock::start();
    let mut lines = DOCUMENT.lines();
    let mut run = 0;
    while let Some(line) = lines.next() {
        let Some(command) = line.strip_prefix("$ ") else { continue };
        let expected = lines.next().expect("an answer");
        let found = match command.split_once(' ') {
            Some(("curl", rest)) => mock.curl(rest),
            Some(("redis-cli", rest)) => mock.redis(rest),
            _ => panic!("neither curl nor redis-cli: {command}"),
        };
        assert!(fits(expected, &found), "{command}\nexpected {expected}\nfound    {found}");
        run += 1;
    }
    assert!(run > 25, "the document was read");
}

#[test]
fn what_is_refused_has_a_status_and_a_reason() {
    let mock = Mock::start();
    let cases: [(&str, &[u8], u16, &str); 9] = [
        ("POST /jump HTTP/1.1", b"{", 400, "EOF"),
        ("POST /rules HTTP/1.1", b"{\"match\":{},\"act\":\"explode\"}", 400, "unknown variant `explode`"),
        ("GET /snapshot?db=x HTTP/1.1", b"", 400, "expected a number for db"),
        ("GET /requests?form=1 HTTP/1.1", b"", 400, "expected since, limit"),
        ("GET /stats HTTP/1.1\r\nOrigin: http://example.com", b"", 403, "Origin"),
        ("GET /nothing HTTP/1.1", b"", 404, "/nothing"),
        ("DELETE /rules/none HTTP/1.1", b"", 404, "none"),
        ("DELETE /flush HTTP/1.1", b"", 405, "expected POST"),
        ("POST /rules HTTP/1.1", &[b' '; 1024 * 1024 + 1], 413, "1048576"),
    ];
    for (head, body, status, reason) in cases {
        let (found, text) = mock.http(head, body);
        assert_eq!(found, status, "{head}: {text}");
        let has_error = text.starts_with("{\"error\":") && text.contains(reason);
        assert!(has_error, "{head}: expected {reason:?}, found {text}");
    }
    assert_eq!(mock.redis("PING"), "PONG");
}

#[test]
fn rules_come_as_toml_too() {
    let mock = Mock::start();
    let toml = b"[[rule]]\nact = { error = \"OOM\" }\n[rule.match]\ncommand = \"set\"\n";
    let head = "POST /rules HTTP/1.1\r\nContent-Type: application/toml";
    assert_eq!(mock.http(head, toml), (200, "{\"names\":[\"rule-1\"]}".to_owned()));
    assert!(mock.redis("SET a b").starts_with("OOM "));
}
