//! Reads a tree into a type and reports every mistake on the way.
//!
//! Serde stops at the first mistake. So it is reported, the value it is in is marked faulty, and the reading
//! starts again without that value, until it succeeds. For a key that is missing, its example stands in
//! meanwhile. A mistake that only follows from a marked value, like
//! a key that is missing because its value was marked, is not reported.

use serde::de::DeserializeOwned;

use super::decode::{Kind, Mistake, Reader};
use super::node::{Entry, Node, Step, Value, parse};
use crate::scenario::diagnostic::{Diagnostic, Diagnostics};
use crate::scenario::suggest;

/// Rounds of reading before giving up. Each finds one more mistake, so this limits those found at once.
const ROUNDS_MAX: usize = 200;

/// The value in `root`, without what is faulty. `None` if too much of it is.
pub(crate) fn read<T: DeserializeOwned>(root: &mut Node, diagnostics: &mut Diagnostics) -> Option<T> {
    let mut lacking: Vec<Lacking> = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let mut mistake = match T::deserialize(Reader(root)) {
            Ok(value) if lacking.is_empty() => return Some(value),
            // All is found. What lacks a key is read no further, and the rest once more.
            Ok(_) => {
                lacking.drain(..).try_for_each(|table| mark(root, &table.path))?;
                continue;
            }
            Err(mistake) => mistake,
        };
        mistake.path.reverse();
        if let Some(index) = lacking.iter().position(|table| table.stands_at(&mistake.path)) {
            mark(root, &lacking.swap_remove(index).path)?;
            continue;
        }
        if !follows(&mistake, root) {
            diagnostics.push(describe(&mistake, root));
        }
        match mistake.kind {
            Kind::Missing(key) if stand_in(root, &mistake.path, key).is_some() => {
                lacking.push(Lacking { path: mistake.path, key });
            }
            _ => mark(root, &mistake.path)?,
        }
    }
    None
}

/// A table that lacks a required key, for which an example stands in until all other mistakes in it are found.
struct Lacking {
    path: Vec<Step>,
    key: &'static str,
}

impl Lacking {
    /// Whether `path` leads into what stands in.
    fn stands_at(&self, path: &[Step]) -> bool {
        let rest = path.strip_prefix(self.path.as_slice());
        rest.is_some_and(|rest| matches!(rest, [Step::Key(key), ..] if key == self.key))
    }
}

/// Marks the value at `path`. `None` if that is the whole document: there is nothing left to read.
fn mark(root: &mut Node, path: &[Step]) -> Option<()> {
    let marked = path.iter().try_fold(root, |node, step| node.child_mut(step))?;
    marked.faulty = true;
    (!path.is_empty()).then_some(())
}

/// Puts the example of `key` into the table at `path`. `None` if there is no example.
fn stand_in(root: &mut Node, path: &[Step], key: &str) -> Option<()> {
    let mut unused = Diagnostics::default();
    let source = unused.add_source("", format!("v = {}", example(key)?));
    let example = parse(source, &mut unused)?.get("v")?.value.clone();
    let table = path.iter().try_fold(root, |node, step| node.child_mut(step))?;
    let place = table.place.clone();
    let node = Node::new(example, place.clone());
    table.table_mut()?.insert(key.to_owned(), Entry { key: place, node });
    Some(())
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
        "kind" => "\"orders.worker\"",
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
        "scenario" => "\"orders-survive-worker-crash\"",
        "seed" => "\"0x2a\"",
        "tick" => "\"10ms\"",
        "duration" | "settle" => "\"30s\"",
        "hosts" => "[\"worker-1\", \"worker-2\"]",
        "spec" => "{ kind = \"orders.worker\", replicas = 2 }",
        "verdict" => "\"failed\"",
        "trace" => "\"c0ffee\"",
        _ => return None,
    };
    Some(example)
}
