//! What `COMMAND DOCS` says of a command beside what the command table says: arguments, history, deprecation.
//!
//! The facts are in `command_docs.txt`, whose head describes its lines. They are read when somebody asks; a line that
//! is not understood says nothing, and the differential suite compares all of it with a real server.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::redis::resp::Reply;

/// The fields that come after `complexity`.
pub(super) fn fields(name: &str) -> Vec<(Reply, Reply)> {
    let Some(section) = section(name) else { return Vec::new() };
    let lines = |kind: &'static str| section.lines().filter_map(move |line| line.strip_prefix(kind));
    let mut fields = Vec::new();
    if let Some(flags) = lines("flags ").next() {
        fields.push((Reply::bulk("doc_flags"), statuses(flags.split(' '))));
    }
    for (kind, field) in [("deprecated ", "deprecated_since"), ("instead ", "replaced_by")] {
        fields.extend(lines(kind).next().map(|text| (Reply::bulk(field), Reply::bulk(text))));
    }
    let history = lines("history ").filter_map(|line| line.split_once(' '));
    let history: Vec<Reply> = history.map(|(since, text)| Reply::bulks([since, text])).collect();
    if !history.is_empty() {
        fields.push((Reply::bulk("history"), Reply::Set(history)));
    }
    let mut rest: Vec<&'static str> = section.lines().filter(|line| line.starts_with('-')).rev().collect();
    if !rest.is_empty() {
        fields.push((Reply::bulk("arguments"), arguments(&mut rest, 1)));
    }
    fields
}

/// The lines of a command's section.
fn section(name: &str) -> Option<&'static str> {
    static SECTIONS: OnceLock<BTreeMap<&'static str, &'static str>> = OnceLock::new();
    let sections = SECTIONS.get_or_init(|| {
        let text = include_str!("command_docs.txt");
        text.split("\n= ").skip(1).filter_map(|section| section.split_once('\n')).collect()
    });
    sections.get(name).copied()
}

/// Takes the arguments at a depth, with their own arguments, from the end of the lines.
fn arguments(rest: &mut Vec<&'static str>, depth: usize) -> Reply {
    let mut all = Vec::new();
    while let Some(line) = rest.pop_if(|line| depth_of(line) == depth) {
        let mut fields = argument(&line[depth..]);
        if rest.last().is_some_and(|next| depth_of(next) > depth) {
            fields.push((Reply::bulk("arguments"), arguments(rest, depth + 1)));
        }
        all.push(Reply::Map(fields));
    }
    Reply::Array(all)
}

fn depth_of(line: &str) -> usize {
    line.bytes().take_while(|byte| *byte == b'-').count()
}

fn argument(line: &'static str) -> Vec<(Reply, Reply)> {
    let (line, token) = line.split_once(" token=").map_or((line, None), |(line, token)| (line, Some(token)));
    let mut words = line.split_ascii_whitespace();
    let text = |name: &'static str, text: &'static str| (Reply::bulk(name), Reply::bulk(text));
    let mut fields: Vec<_> =
        ["name", "type"].iter().filter_map(|name| Some(text(name, words.next()?))).collect();
    let value = |name: &str| words.clone().find_map(|word| word.strip_prefix(name));
    if let Some(key) = value("key=").and_then(|key| key.parse().ok()) {
        fields.push((Reply::bulk("key_spec_index"), Reply::Int(key)));
    }
    fields.extend(token.map(|token| text("token", token)));
    fields.extend(value("since=").map(|since| text("since", since)));
    fields.extend(value("deprecated=").map(|since| text("deprecated_since", since)));
    let known = [("?", "optional"), ("+", "multiple"), ("*", "multiple_token")];
    let flags = known.iter().filter(|(mark, _)| words.clone().any(|word| word == *mark));
    let flags: Vec<&'static str> = flags.map(|(_, flag)| *flag).collect();
    if !flags.is_empty() {
        fields.push((Reply::bulk("flags"), statuses(flags.into_iter())));
    }
    fields
}

fn statuses(words: impl Iterator<Item = &'static str>) -> Reply {
    Reply::Set(words.map(|word| Reply::Status(word.into())).collect())
}
