//! What a later server was heard to say: sequences whose replies stand in the files with them, so that the mock
//! can be compared with a server that is not there.
//!
//! Each line is a command or something spoken as in a [`Conversation`](crate::conversation::Conversation), and
//! is followed by what was said, indented. With `SQUALL_REDIS_RECORD=1` and `SQUALL_REDIS_NEXT`, the trials that
//! compare the files with the real server write them anew instead.

use std::path::Path;

use crate::conversation::Side;
use crate::same::comparable;
use crate::servers::{Mock, NEXT};
use crate::wire::{RESET, Resp, Servers, words};

/// A file, and what it held when this was built.
pub struct Sequence {
    pub name: &'static str,
    text: &'static str,
}

macro_rules! sequences {
    ($($name:literal),*) => {
        [$(Sequence {
            name: $name,
            text: include_str!(concat!("golden/next/", $name, ".txt")),
        }),*]
    };
}

pub const SEQUENCES: [Sequence; 3] = sequences!["hash_deadlines", "hash_deadline_events", "clients"];

/// Compares the mock with what is on record.
pub fn replay(sequence: &Sequence) -> Result<(), String> {
    let mock = Mock::start(&NEXT)?;
    differences(sequence.text, &heard(Side::new(mock.address, 2), sequence.text)?)
}

/// Compares the record with what the real server says now, or makes it anew.
pub fn is_what_is_said(servers: &Servers, sequence: &Sequence) -> Result<(), String> {
    // Nobody else speaks meanwhile.
    let turn = servers.pair(2)?;
    let [real, _] = servers.addresses();
    let heard = heard(Side::new(real, 2), sequence.text)?;
    drop(turn);
    if std::env::var_os("SQUALL_REDIS_RECORD").is_none() {
        return differences(sequence.text, &heard);
    }
    let name = format!("{}.txt", sequence.name);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/redis_differential/golden/next");
    std::fs::write(folder.join(&name), heard).map_err(|error| format!("{name}: {error}"))
}

/// The text with what a server says to it.
fn heard(mut side: Side, text: &str) -> Result<String, String> {
    for line in RESET {
        side.speak(&format!("@main {line}"))?;
    }
    let mut heard = String::new();
    for line in text.lines().filter(|line| !line.starts_with(' ')) {
        heard.push_str(line);
        heard.push('\n');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (spoken, command) = match line.strip_prefix('@') {
            Some(rest) => (line.to_owned(), words(rest.split_once(' ').map_or("", |(_, command)| command))),
            None => (format!("@main {line}"), words(line)),
        };
        let reply = side.speak(&spoken).map_err(|why| format!("{line}: {why}"))?;
        heard.push_str(&format!("    {:?}\n", without_time_left(&command, comparable(&command, &reply))));
    }
    Ok(heard)
}

/// A reply without how much time is left, which depends on when it was asked.
fn without_time_left(command: &[Vec<u8>], reply: Resp) -> Resp {
    let name = command.first().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
    match reply {
        Resp::List(mark, items) if name.ends_with(b"ttl") => {
            let items = items.into_iter().map(|item| without_time_left(command, item));
            Resp::List(mark, items.collect())
        }
        Resp::Int(left) if name.ends_with(b"ttl") && left > 0 => Resp::Other("some".to_owned()),
        other => other,
    }
}

fn differences(expected: &str, found: &str) -> Result<(), String> {
    let mut command = "";
    let mut differences = Vec::new();
    for (expected, found) in expected.lines().zip(found.lines()) {
        if expected == found && !found.starts_with(' ') {
            command = found;
        }
        if expected != found {
            differences.push(format!(
                "{command}\n    on record {}\n    found     {}",
                expected.trim(),
                found.trim()
            ));
        }
    }
    if expected.lines().count() != found.lines().count() {
        differences.push("the record is not complete: make it anew".to_owned());
    }
    if differences.is_empty() { Ok(()) } else { Err(format!("\n{}", differences.join("\n"))) }
}
