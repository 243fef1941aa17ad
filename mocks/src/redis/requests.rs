//! The request log: what clients asked a server and what it answered, as far back as the capacity allows.
//!
//! Kept only for a server that was asked to ([`RedisServer::log_requests`](super::RedisServer::log_requests)),
//! and written where the observer is told, so both see the same requests. Records are numbered from 1 without
//! gaps; the oldest go when the log is full. Arguments are clipped and passwords left out, so a record is small
//! and may be shown. Replies to requests are not kept, only their kind.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::Notify;

use super::engine::{ClientId, Moment, redacted};
use crate::kept::Kept;

/// Longest text of one argument, in bytes of the argument.
const ARGUMENT_BYTES: usize = 128;
/// Most arguments of one request.
const ARGUMENTS: usize = 32;

/// One thing that happened at a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    /// Its number, from 1.
    pub number: u64,
    /// Unix time in microseconds on the server's clock.
    pub unix_us: i64,
    /// Microseconds since the server was made; never jumps.
    pub elapsed_us: i64,
    /// What happened.
    #[serde(flatten)]
    pub what: Recorded,
}

/// What a [`Record`] is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Recorded {
    /// A client asked for something.
    Request(Request),
    /// The server changed by itself or was changed from outside: an expired key, an eviction, a failover.
    Event(String),
}

/// A request and its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Request {
    /// The client's number, as `CLIENT ID` answers it.
    pub client: ClientId,
    /// The name the client gave itself, readable.
    pub client_name: String,
    /// The command line, readable and clipped.
    pub arguments: Vec<String>,
    /// What kind of reply the command had: `OK`, `bulk`, the first word of an error; `no reply` if it was not
    /// answered, or not yet.
    pub reply: String,
    /// The fault rule that acted on it.
    pub rule: Option<String>,
}

impl Record {
    /// The request, if this is of one.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        match &self.what {
            Recorded::Request(request) => Some(request),
            Recorded::Event(_) => None,
        }
    }

    /// The event, if this is of one.
    #[must_use]
    pub fn event(&self) -> Option<&str> {
        match &self.what {
            Recorded::Event(event) => Some(event),
            Recorded::Request(_) => None,
        }
    }
}

/// The log of one server. Clones are handles to the same log.
#[derive(Clone)]
pub struct Requests {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<Kept<Record>>,
    more: Notify,
}

impl Requests {
    pub(super) fn new() -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::default(), more: Notify::new() }) }
    }

    pub(super) fn set_capacity(&self, capacity: usize) {
        self.lock().set_capacity(capacity);
    }

    /// All records there are, the oldest first.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Record> {
        self.lock().iter().cloned().collect()
    }

    /// Records with numbers above `number`, the oldest first, at most `limit`.
    #[must_use]
    pub fn since(&self, number: u64, limit: usize) -> Vec<Record> {
        self.lock().since(number, limit)
    }

    /// The number of the youngest record; 0 if there was none.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.lock().last()
    }

    /// The first record, of those that are kept and those to come, for which `wanted` is true. Each is shown to
    /// it once. Records that came and went while nobody polled this are missed.
    pub async fn wait_for(&self, mut wanted: impl FnMut(&Record) -> bool) -> Record {
        let mut seen = 0;
        loop {
            let more = self.shared.more.notified();
            tokio::pin!(more);
            more.as_mut().enable();
            for record in self.since(seen, usize::MAX) {
                if wanted(&record) {
                    return record;
                }
                seen = record.number;
            }
            more.await;
        }
    }

    pub(super) fn push(&self, at: Moment, what: Recorded) {
        let Moment { unix_us, elapsed_us } = at;
        self.lock().push(|number| Record { number, unix_us, elapsed_us, what });
        self.shared.more.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Kept<Record>> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Requests").field("last", &self.last()).finish_non_exhaustive()
    }
}

/// Bytes as text: what is UTF-8 and can be shown stays, a backslash is doubled, every other byte becomes `\xNN`
/// (or `\n`, `\r`, `\t`). Two different values never give the same text.
#[must_use]
pub fn readable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                c if c.is_control() => {
                    c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| push_hex(&mut text, byte));
                }
                c => text.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| push_hex(&mut text, *byte));
    }
    text
}

fn push_hex(text: &mut String, byte: u8) {
    text.push_str("\\x");
    for digit in [byte >> 4, byte & 15] {
        text.extend(char::from_digit(u32::from(digit), 16));
    }
}

/// A command line as the log keeps it. `command` is its name as the command table has it.
pub(super) fn clipped(command: &str, args: &[Bytes]) -> Vec<String> {
    let mut texts: Vec<String> = redacted(command, args)
        .iter()
        .take(ARGUMENTS)
        .map(|arg| match arg.get(..ARGUMENT_BYTES) {
            Some(start) if arg.len() > ARGUMENT_BYTES => {
                format!("{}... ({} bytes)", readable(start), arg.len())
            }
            _ => readable(arg),
        })
        .collect();
    if args.len() > ARGUMENTS {
        texts.push(format!("... ({} more arguments)", args.len() - ARGUMENTS));
    }
    texts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(line: &str) -> Vec<Bytes> {
        line.split(' ').map(|word| Bytes::from(word.to_owned())).collect()
    }

    #[test]
    fn the_oldest_records_go_when_the_log_is_full_and_numbers_go_on() {
        let log = Requests::new();
        log.set_capacity(3);
        for n in 0..5 {
            log.push(Moment::default(), Recorded::Event(n.to_string()));
        }
        let kept: Vec<_> = log.snapshot().iter().map(|record| record.number).collect();
        assert_eq!(kept, [3, 4, 5]);
        assert_eq!(log.since(3, 1).iter().map(|record| record.number).collect::<Vec<_>>(), [4]);
        log.set_capacity(0);
        log.push(Moment::default(), Recorded::Event(String::new()));
        assert!(log.snapshot().is_empty());
        assert_eq!(log.last(), 6);
    }

    #[test]
    fn passwords_do_not_enter_the_log() {
        for (command, line) in [
            ("auth", "AUTH alice s3cret"),
            ("hello", "HELLO 3 AUTH alice s3cret SETNAME x"),
            ("config|set", "CONFIG SET timeout 3 requirepass s3cret"),
            ("acl|setuser", "ACL SETUSER alice on >s3cret"),
            ("migrate", "MIGRATE h 1 k 0 5 AUTH2 alice s3cret"),
        ] {
            let texts = clipped(command, &words(line)).join(" ");
            assert!(!texts.contains("s3cret"), "{texts}");
        }
    }

    #[test]
    fn long_arguments_and_long_command_lines_are_clipped() {
        let many = clipped("mset", &vec![Bytes::from(vec![b'x'; 1_000_000]); 1000]);
        assert_eq!(many.len(), ARGUMENTS + 1);
        assert!(many.iter().map(String::len).sum::<usize>() < 10_000);
        assert!(many[0].ends_with("... (1000000 bytes)"), "{}", many[0]);
    }

    fn unreadable(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\\') {
            bytes.extend(before.bytes());
            let (byte, used) = match after.as_bytes()[0] {
                b'n' => (b'\n', 1),
                b'r' => (b'\r', 1),
                b't' => (b'\t', 1),
                b'x' => (u8::from_str_radix(&after[1..3], 16).expect("two digits"), 3),
                other => (other, 1),
            };
            bytes.push(byte);
            rest = &after[used..];
        }
        bytes.extend(rest.bytes());
        bytes
    }

    proptest! {
        #[test]
        fn readable_text_says_exactly_which_bytes(
            bytes in prop::collection::vec(prop_oneof![Just(b'\\'), Just(b'x'), any::<u8>()], 0..50),
        ) {
            let text = readable(&bytes);
            prop_assert!(text.chars().all(|c| !c.is_control()));
            prop_assert_eq!(unreadable(&text), bytes);
        }
    }
}
