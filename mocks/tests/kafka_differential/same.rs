//! Answers as text, without what differs from server to server by its nature: ids are numbered in the order they
//! are first seen in, ports and cluster ids are named, and times of now are one word. Nothing else is touched.

use std::collections::BTreeMap;

const UUID: usize = 36;
/// How far, in milliseconds, a time may lie from the start of a trial to be one of now. Records of tests have times
/// outside of it, which are compared.
const BEFORE: i64 = 60_000;
const AFTER: i64 = 600_000;

/// What one side calls the things that both have.
#[derive(Debug)]
pub struct Names {
    /// Topic ids, and what is at random in members' ids.
    ids: Vec<String>,
    producers: Vec<i64>,
    ports: BTreeMap<i64, usize>,
    /// What stands before the names of a trial's topics and groups.
    prefix: String,
    cluster: String,
    started_ms: i64,
}

impl Names {
    pub fn new(addresses: &[String], prefix: &str, cluster: &str, started_ms: i64) -> Self {
        let port = |address: &String| address.rsplit_once(':')?.1.parse().ok();
        let ports = (1..).zip(addresses).filter_map(|(node, address)| Some((port(address)?, node))).collect();
        let (prefix, cluster) = (prefix.to_owned(), cluster.to_owned());
        Self { ids: Vec::new(), producers: Vec::new(), ports, prefix, cluster, started_ms }
    }

    /// The text of an answer.
    pub fn plain(&mut self, answer: &impl std::fmt::Debug) -> String {
        let text = format!("{answer:?}").replace(", unknown_tagged_fields: {}", "").replace(&self.prefix, "");
        let text = if self.cluster.is_empty() { text } else { text.replace(&self.cluster, "the cluster") };
        let mut plain = String::with_capacity(text.len());
        let mut rest = &text[..];
        while let Some(first) = rest.chars().next() {
            let after_word = plain.ends_with(|c: char| c.is_ascii_alphanumeric());
            let (length, word) = match first {
                _ if is_uuid(rest) => (UUID, self.id(&rest[..UUID])),
                '0'..='9' if !after_word => {
                    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                    (digits, self.number(&rest[..digits], &plain))
                }
                other => (other.len_utf8(), other.to_string()),
            };
            plain.push_str(&word);
            rest = &rest[length..];
        }
        plain
    }

    fn id(&mut self, id: &str) -> String {
        if id.bytes().all(|byte| matches!(byte, b'0' | b'-')) {
            return "no id".to_owned();
        }
        let at = self.ids.iter().position(|known| known == id).unwrap_or_else(|| {
            self.ids.push(id.to_owned());
            self.ids.len() - 1
        });
        format!("id-{at}")
    }

    fn number(&mut self, digits: &str, before: &str) -> String {
        let Ok(number) = digits.parse::<i64>() else { return digits.to_owned() };
        if let Some(node) = self.ports.get(&number).filter(|_| before.ends_with("port: ")) {
            return format!("port of {node}");
        }
        if before.ends_with("producer_id: ") {
            let at = self.producers.iter().position(|known| *known == number).unwrap_or_else(|| {
                self.producers.push(number);
                self.producers.len() - 1
            });
            return format!("producer-{at}");
        }
        let now = self.started_ms - BEFORE..self.started_ms + AFTER;
        if now.contains(&number) { "now".to_owned() } else { digits.to_owned() }
    }
}

fn is_uuid(text: &str) -> bool {
    let Some(text) = text.as_bytes().get(..UUID) else { return false };
    text.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// Says where two texts differ: the fields if there are as many, else all from the first to the last that does.
pub fn difference(real: &str, mock: &str) -> String {
    let (reals, mocks): (Vec<_>, Vec<_>) = (real.split(", ").collect(), mock.split(", ").collect());
    let differs = |(real, mock): &(&&str, &&str)| real != mock;
    if reals.len() == mocks.len() {
        let fields = reals.iter().zip(&mocks).enumerate().filter(|(_, pair)| differs(pair));
        let line = |(at, (real, mock)): (usize, (&&str, &&str))| {
            format!("    field {at}: real {real}\n    field {at}: mock {mock}\n")
        };
        return fields.map(line).collect();
    }
    let start = reals.iter().zip(&mocks).take_while(|pair| !differs(pair)).count();
    let shorter = reals.len().min(mocks.len()) - start;
    let same = reals.iter().rev().zip(mocks.iter().rev()).take_while(|pair| !differs(pair)).count();
    let end = same.min(shorter);
    let part = |fields: &[&str]| fields[start..fields.len() - end].join(", ");
    format!("    real ... {}\n    mock ... {}\n", part(&reals), part(&mocks))
}
