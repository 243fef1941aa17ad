//! `extends`: reads a file and its ancestors and lays the child over the parent.
//!
//! Tables merge key by key. Lists of tables append the child's to the parent's, except that one with the
//! `name` of a parent's is merged over it, as a table. Anything else of the child replaces the parent's. `abstract` and `name`
//! are not inherited. Values keep their places, so a mistake in the parent is shown in the parent.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::diagnostic::{Diagnostic, Diagnostics, Place};
use super::document::{Entry, Node, Value, parse};

/// Largest file that is read, in bytes.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 20;
/// Most generations of `extends`.
const GENERATIONS_MAX: usize = 8;

/// The document in `path` laid over all it extends. `None` if one of them cannot be read.
pub(crate) fn load(path: &Path, diagnostics: &mut Diagnostics) -> Option<Node> {
    let mut generations: Vec<Node> = Vec::new();
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut next = (path.to_owned(), None);
    loop {
        let (path, named_at): (PathBuf, Option<Place>) = next;
        // Two spellings of one file are one file.
        let identity = path.canonicalize().unwrap_or_else(|_| path.clone());
        if seen.contains(&identity) {
            let text = format!("`extends` runs in a circle back to {}", path.display());
            diagnostics.push(Diagnostic::error(named_at, text).hint("a scenario cannot extend itself"));
            return None;
        }
        if seen.len() == GENERATIONS_MAX {
            let text = format!("`extends` goes deeper than {GENERATIONS_MAX} files");
            diagnostics
                .push(Diagnostic::error(named_at, text).hint("copy what is needed from the ancestors"));
            return None;
        }
        seen.push(identity);
        let mut document = read_file(&path, named_at, diagnostics)?;
        let parent = document.table_mut().and_then(|table| table.remove("extends"));
        generations.push(document);
        let Some(parent) = parent else { break };
        let Some(name) = parent.node.text() else {
            let text = format!("expected the path of the parent file, found {}", parent.node.type_name());
            diagnostics
                .push(Diagnostic::error(parent.node.place, text).hint("extends = \"base/orders.toml\""));
            return None;
        };
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        next = (folder.join(name), Some(parent.node.place));
    }
    let oldest = generations.pop()?;
    Some(generations.into_iter().rev().fold(oldest, |parent, child| {
        let mut merged = parent;
        if let Some(table) = merged.table_mut() {
            table.remove("abstract");
            table.remove("name");
        }
        lay_over(&mut merged, child);
        merged
    }))
}

/// Reads and parses one file; `named_at` is where an `extends` asked for it.
fn read_file(path: &Path, named_at: Option<Place>, diagnostics: &mut Diagnostics) -> Option<Node> {
    let text = match read_text(path) {
        Ok(text) => text,
        Err(problem) => {
            let text = format!("cannot read {}: {problem}", path.display());
            let hint = match named_at {
                Some(_) => "the path of a parent is relative to the file that names it",
                None => "give the path of a scenario file",
            };
            diagnostics.push(Diagnostic::error(named_at, text).hint(hint));
            return None;
        }
    };
    let source = diagnostics.add_source(path.display().to_string(), text);
    parse(source, diagnostics)
}

/// The text of a file of at most [`FILE_BYTES_MAX`], or why there is none.
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err("it is a folder".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it is larger than {} KiB", FILE_BYTES_MAX / 1024));
    }
    String::from_utf8(bytes).map_err(|error| format!("it is not UTF-8 text ({error})"))
}

/// Lays `child` over `parent`.
fn lay_over(parent: &mut Node, child: Node) {
    parent.place = child.place;
    match (&mut parent.value, child.value) {
        (Value::Table(parent), Value::Table(child)) => merge_tables(parent, child),
        (Value::Array(parent), Value::Array(child)) if all_tables(parent) && all_tables(&child) => {
            append(parent, child);
        }
        (parent, child) => *parent = child,
    }
}

fn merge_tables(parent: &mut BTreeMap<String, Entry>, child: BTreeMap<String, Entry>) {
    for (key, entry) in child {
        match parent.get_mut(&key) {
            Some(inherited) => {
                inherited.key = entry.key;
                lay_over(&mut inherited.node, entry.node);
            }
            None => {
                parent.insert(key, entry);
            }
        }
    }
}

/// An empty list is no list of tables: it replaces, which is how a child gets rid of the parent's.
fn all_tables(array: &[Node]) -> bool {
    !array.is_empty() && array.iter().all(|node| node.table().is_some())
}

fn append(parent: &mut Vec<Node>, child: Vec<Node>) {
    for node in child {
        let name = node.get("name").and_then(Node::text).map(str::to_owned);
        let same = |other: &Node| name.is_some() && other.get("name").and_then(Node::text) == name.as_deref();
        match parent.iter().position(same) {
            Some(index) => lay_over(&mut parent[index], node),
            None => parent.push(node),
        }
    }
}
