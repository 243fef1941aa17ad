//! Reads a tree into a type and reports every mistake on the way.
//!
//! Serde stops at the first mistake. So it is reported, the value it is in is marked faulty, and the reading
//! starts again without that value, until it succeeds. A mistake that only follows from a marked value, like
//! a key that is missing because its value was marked, is not reported.

use serde::de::DeserializeOwned;

use super::decode::{Kind, Mistake, Reader};
use super::node::{Entry, Node, Step, Value};
use crate::scenario::diagnostic::{Diagnostic, Diagnostics};
use crate::scenario::suggest;

/// Rounds of reading before giving up. Each marks one more value, so this limits the mistakes found at once.
const ROUNDS_MAX: usize = 200;

/// The value in `root`, without what is faulty. `None` if too much of it is.
pub(crate) fn read<T: DeserializeOwned>(root: &mut Node, diagnostics: &mut Diagnostics) -> Option<T> {
    for _ in 0..ROUNDS_MAX {
        let mut mistake = match T::deserialize(Reader(root)) {
            Ok(value) => return Some(value),
            Err(mistake) => mistake,
        };
        mistake.path.reverse();
        if !follows(&mistake, root) {
            diagnostics.push(describe(&mistake, root));
        }
        let marked = mistake.path.iter().try_fold(&mut *root, |node, step| node.child_mut(step))?;
        marked.faulty = true;
        if mistake.path.is_empty() {
            return None;
        }
    }
    None
}

/// Whether a mistake only follows from another, reported before.
fn follows(mistake: &Mistake, root: &Node) -> bool {
    let Some(node) = mistake.path.iter().try_fold(root, |node, step| node.child(step)) else { return false };
    match (&mistake.kind, &node.value) {
        (Kind::Missing(missing), Value::Table(table)) => {
            let near = |(key, entry): (&String, &Entry)| entry.node.faulty && suggest::is_near(key, missing);
            table.iter().any(near)
        }
        (Kind::Other(_), Value::Table(table)) => table.values().any(|entry| entry.node.faulty),
        (Kind::Other(_), Value::Array(array)) => array.iter().any(|node| node.faulty),
        _ => false,
    }
}

fn describe(mistake: &Mistake, root: &Node) -> Diagnostic {
    let path = &mistake.path;
    match &mistake.kind {
        Kind::Missing(key) => {
            let example = example(key).map(|example| format!("add a line like `{key} = {example}`"));
            let diagnostic = Diagnostic::error(root.place_of(path), format!("the key `{key}` is missing"));
            diagnostic
                .label(format!("`{key}` is required here"))
                .hint(example.unwrap_or(format!("add `{key}`")))
        }
        Kind::UnknownKey(known) => {
            let found = match path.last() {
                Some(Step::Key(key)) => key.as_str(),
                _ => "",
            };
            let diagnostic = Diagnostic::error(root.key_place_of(path), format!("unknown key `{found}`"));
            hinted(diagnostic, suggest::hint(found, known.iter().copied()))
        }
        Kind::UnknownName(found, known) => {
            let by_key = matches!(path.last(), Some(Step::Key(key)) if key == found);
            let place = if by_key { root.key_place_of(path) } else { root.place_of(path) };
            let what = fault_kind(path, found);
            hinted(Diagnostic::error(place, what), suggest::hint(found, known.iter().copied()))
        }
        Kind::Other(text) => Diagnostic::error(root.place_of(path), text.clone()),
    }
}

/// A name that is the key of a group of faults is a kind of fault; any other is just a name.
fn fault_kind(path: &[Step], found: &str) -> String {
    match path {
        [.., Step::Key(group), Step::Key(key)]
            if key == found && crate::fault::Fault::GROUPS.contains(&group.as_str()) =>
        {
            format!("unknown fault `{group}.{found}`")
        }
        _ => format!("unknown name `{found}`"),
    }
}

fn hinted(diagnostic: Diagnostic, hint: Option<String>) -> Diagnostic {
    match hint {
        Some(hint) => diagnostic.hint(hint),
        None => diagnostic,
    }
}

/// An example of the value of a key that can be missing.
fn example(key: &str) -> Option<&'static str> {
    let example = match key {
        "kind" => "\"squall.processor\"",
        "name" => "\"place-orders\"",
        "emit" => "\"order.placed\"",
        "to" => "\"kafka/orders\"",
        "count" => "1000",
        "rate" => "\"200/s\"",
        "point" => "\"processor.after-effect\"",
        "between" => "[[\"worker-1\"], [\"kafka-*\"]]",
        "link" => "[\"worker-1\", \"redis\"]",
        "host" => "\"worker-1\"",
        "add" | "by" | "lose-last" => "\"150ms\"",
        "bytes" | "max-bytes" => "1024",
        "gap" => "{ mean = \"5s\" }",
        "mean" | "max" => "\"5s\"",
        "min" => "\"200ms\"",
        "act" => "\"drop-after\"",
        "match" => "{ }",
        "group" => "\"billing\"",
        "topic" => "\"orders\"",
        "partition" => "0",
        "node" => "1",
        "key" => "\"dedup:*\"",
        "n" => "500",
        "s" => "1.1",
        _ => return None,
    };
    Some(example)
}
