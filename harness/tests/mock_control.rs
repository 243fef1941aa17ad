//! The documented requests of `docs/mock-control.md` and `docs/mock-control-kafka.md`, run against the program, and
//! what the port refuses.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use squall_mocks::kafka::client::{ClientOptions, KafkaClient, NewRecord, ProducerOptions, TopicPartition};
use squall_mocks::net::TcpDial;

const REDIS: &str = include_str!("../../docs/mock-control.md");
const KAFKA: &str = include_str!("../../docs/mock-control-kafka.md");

struct Mock {
    child: Child,
    server: String,
    control: String,
}

impl Mock {
    fn kafka() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
        command.args(["mock", "kafka", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
        let child = command.args(["--brokers", "3", "--topic", "orders:3"]).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("the output is piped")).lines();
        let mut line = || lines.next().expect("a line").expect("text");
        let (server, control) = (line(), line());
        Self { child, server, control: control.strip_prefix("http://").expect("an address").to_owned() }
    }

    fn redis() -> Self {
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
        Self { child, server: redis, control }
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

    /// Does what kcat would: writes `value` into a partition, or tells what is in it.
    fn kcat(&self, line: &str, value: Option<&str>) -> String {
        let after =
            |option: &str| line.split(&format!(" {option} ")).nth(1).and_then(|it| it.split(' ').next());
        let (topic, number) = (after("-t").expect("a topic"), after("-p").expect("a partition"));
        let partition = TopicPartition::new(topic, number.parse().expect("a number"));
        let options = ClientOptions::new(self.server.split(','));
        let client = KafkaClient::new(options, std::sync::Arc::new(TcpDial));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let Some(value) = value else {
                let read = client.read_all(&partition).await.expect("it can be read");
                let text = |value: &[u8]| String::from_utf8(value.to_vec()).expect("text");
                return read
                    .iter()
                    .filter_map(|it| it.value.as_deref().map(text))
                    .collect::<Vec<_>>()
                    .join("\n");
            };
            let producer = client.producer(ProducerOptions::default()).expect("good options");
            let record = NewRecord::new(topic, value.to_owned()).partition(partition.partition);
            producer.send(record).await.expect("acknowledged");
            String::new()
        })
    }

    fn ask_redis(&self, line: &str) -> String {
        let stream = connect(&self.server);
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

/// Runs the commands of a document and compares their answers; how many there were.
fn run(document: &str, mock: &Mock) -> usize {
    let mut lines = document.lines();
    let mut run = 0;
    while let Some(line) = lines.next() {
        let Some(command) = line.strip_prefix("$ ") else { continue };
        run += 1;
        if let Some((value, kcat)) = command.strip_prefix("echo ").and_then(|it| it.split_once(" | ")) {
            // Says nothing.
            mock.kcat(kcat, Some(value));
            continue;
        }
        let expected = lines.next().expect("an answer");
        let found = match command.split_once(' ') {
            Some(("curl", rest)) => mock.curl(rest),
            Some(("redis-cli", rest)) => mock.ask_redis(rest),
            Some(("kcat", _)) => mock.kcat(command, None),
            _ => panic!("neither curl nor redis-cli nor kcat: {command}"),
        };
        assert!(fits(expected, &found), "{command}\nexpected {expected}\nfound    {found}");
    }
    run
}

#[test]
fn every_documented_request_has_the_documented_answer() {
    let run = run(REDIS, &Mock::redis());
    assert!(run > 25, "the document was read");
}

#[test]
fn every_documented_request_to_kafka_has_the_documented_answer() {
    let run = run(KAFKA, &Mock::kafka());
    assert!(run > 30, "the document was read");
}

#[test]
fn rules_of_kafka_come_as_toml_and_those_that_could_never_act_are_refused() {
    let mock = Mock::kafka();
    let toml = b"[[rule]]\nact = { throttle = \"1s\" }\n[rule.match]\napi = \"fetch\"\n";
    let head = "POST /rules HTTP/1.1\r\nContent-Type: application/toml";
    assert_eq!(mock.http(head, toml), (200, "{\"names\":[\"rule-1\"]}".to_owned()));
    let cases: [(&str, &[u8], u16, &str); 7] = [
        (
            "POST /rules HTTP/1.1",
            b"{\"match\":{\"key\":\"a\"},\"act\":\"silence\"}",
            400,
            "unknown field `key`",
        ),
        ("POST /rules HTTP/1.1", b"{\"match\":{\"api\":\"produce\"},\"act\":\"corrupt-crc\"}", 400, "fetch"),
        ("POST /rules HTTP/1.1", b"{\"match\":{},\"act\":\"silence\",\"nth\":0}", 400, "1 or more"),
        ("GET /crash HTTP/1.1", b"", 405, "expected POST"),
        ("POST /topics HTTP/1.1", b"{\"name\":\"orders\",\"partitions\":1}", 400, "TOPIC_ALREADY_EXISTS"),
        ("POST /move-leader HTTP/1.1", b"{\"topic\":\"orders\",\"partition\":0,\"to\":\"x\"}", 400, "nobody"),
        ("GET /records?topic=none HTTP/1.1", b"", 400, "none-0"),
    ];
    for (head, body, status, reason) in cases {
        let (found, text) = mock.http(head, body);
        assert!(found == status && text.contains(reason), "{head}: {found} {text}");
    }
}

#[test]
fn what_is_refused_has_a_status_and_a_reason() {
    let mock = Mock::redis();
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
    assert_eq!(mock.ask_redis("PING"), "PONG");
}

#[test]
fn rules_come_as_toml_too() {
    let mock = Mock::redis();
    let toml = b"[[rule]]\nact = { error = \"OOM\" }\n[rule.match]\ncommand = \"set\"\n";
    let head = "POST /rules HTTP/1.1\r\nContent-Type: application/toml";
    assert_eq!(mock.http(head, toml), (200, "{\"names\":[\"rule-1\"]}".to_owned()));
    assert!(mock.ask_redis("SET a b").starts_with("OOM "));
}
