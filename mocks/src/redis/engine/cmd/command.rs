//! `COMMAND`: the table, as clients read it to route and to check commands.

use bytes::Bytes;

use super::{command_docs, help};
use crate::redis::engine::call::{Call, Outcome};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::table::{Begin, Find, KeySpec, Spec, flags};
use crate::redis::resp::Reply;

pub(crate) fn command(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Array(call.engine.commands().map(describe).collect()))
}

pub(crate) fn command_count(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::count(call.engine.commands().count()))
}

pub(crate) fn command_info(call: &mut Call<'_>) -> Outcome {
    let names = call.rest(2);
    if names.is_empty() {
        return command(call);
    }
    let one = |name: &Bytes| call.engine.named(name).map_or(Reply::Null, describe);
    Ok(Reply::Array(names.iter().map(one).collect()))
}

pub(crate) fn command_docs(call: &mut Call<'_>) -> Outcome {
    let names = call.rest(2);
    let chosen: Vec<&Spec> = match names {
        [] => call.engine.commands().collect(),
        names => names.iter().filter_map(|name| call.engine.named(name)).collect(),
    };
    Ok(Reply::Map(chosen.into_iter().map(document).collect()))
}

pub(crate) fn command_getkeys(call: &mut Call<'_>) -> Outcome {
    keys_of(call, call.rest(2)).map(|(_, keys)| Reply::bulks(keys))
}

/// A command line's command and its keys.
pub(super) fn keys_of(call: &Call<'_>, args: &[Bytes]) -> Result<(&'static Spec, Vec<Bytes>), CmdError> {
    let spec = call.engine.resolve(args).map_err(|_| CmdError::fixed("ERR Invalid command specified"))?;
    if spec.keys.is_empty() {
        return Err(CmdError::fixed("ERR The command has no key arguments"));
    }
    if !spec.takes(args.len()) {
        return Err(CmdError::fixed("ERR Invalid number of arguments specified for command"));
    }
    let keys: Vec<Bytes> =
        spec.key_positions(args).into_iter().filter_map(|at| args.get(at)).cloned().collect();
    if keys.is_empty() && !spec.has(flags::NO_MANDATORY_KEYS) {
        return Err(CmdError::fixed("ERR Invalid arguments specified for command"));
    }
    Ok((spec, keys))
}

pub(crate) fn command_help(_: &mut Call<'_>) -> Outcome {
    super::help_reply(help::COMMAND)
}

fn word(text: &'static str) -> Reply {
    Reply::bulk(text)
}

fn describe(spec: &Spec) -> Reply {
    let set = |names: Vec<Reply>| Reply::Set(names);
    let status = |text: &'static str| Reply::Status(text.into());
    let flags = flags::NAMES.iter().filter(|(flag, _)| spec.has(*flag)).map(|(_, name)| status(name));
    let categories = spec.categories.split(' ').map(|name| Reply::Status(format!("@{name}").into()));
    let (first, last, step) = spec.legacy_range();
    Reply::Array(vec![
        word(spec.name),
        Reply::Int(i64::from(spec.arity)),
        set(flags.collect()),
        Reply::Int(first),
        Reply::Int(last),
        Reply::Int(step),
        set(categories.collect()),
        set(spec.tips.iter().map(|tip| word(tip)).collect()),
        set(spec.keys.iter().map(describe_keys).collect()),
        // The real server answers an empty set or an array of some.
        match spec.subcommands {
            [] => set(Vec::new()),
            subcommands => Reply::Array(subcommands.iter().map(describe).collect()),
        },
    ])
}

fn describe_keys(spec: &KeySpec) -> Reply {
    let step = |kind: &'static str, fields: Vec<(Reply, Reply)>| {
        Reply::Map(vec![(word("type"), word(kind)), (word("spec"), Reply::Map(fields))])
    };
    let find = match spec.find {
        Find::Range { last, step: by } => step(
            "range",
            vec![
                (word("lastkey"), Reply::Int(i64::from(last))),
                (word("keystep"), Reply::count(by)),
                (word("limit"), Reply::Int(0)),
            ],
        ),
        Find::FirstHalf => step(
            "range",
            vec![
                (word("lastkey"), Reply::Int(-1)),
                (word("keystep"), Reply::Int(1)),
                (word("limit"), Reply::Int(2)),
            ],
        ),
        Find::Counted => step(
            "keynum",
            vec![
                (word("keynumidx"), Reply::Int(0)),
                (word("firstkey"), Reply::Int(1)),
                (word("keystep"), Reply::Int(1)),
            ],
        ),
        Find::Unknown => step("unknown", Vec::new()),
    };
    let begin = match spec.begin {
        Begin::Index(first) => step("index", vec![(word("index"), Reply::count(first))]),
        Begin::Keyword { word: keyword, from } => step(
            "keyword",
            vec![(word("keyword"), word(keyword)), (word("startfrom"), Reply::Int(i64::from(from)))],
        ),
        Begin::Unknown => step("unknown", Vec::new()),
    };
    let flags = spec.flags.split(' ').map(|flag| Reply::Status(flag.into())).collect();
    let mut fields = Vec::new();
    if let Some(note) = spec.note {
        fields.push((word("notes"), word(note)));
    }
    fields.push((word("flags"), Reply::Set(flags)));
    fields.push((word("begin_search"), begin));
    fields.push((word("find_keys"), find));
    Reply::Map(fields)
}

fn document(spec: &Spec) -> (Reply, Reply) {
    let mut fields = vec![
        (word("summary"), word(spec.summary)),
        (word("since"), word(spec.since)),
        (word("group"), word(spec.group)),
    ];
    if !spec.complexity.is_empty() {
        fields.push((word("complexity"), word(spec.complexity)));
    }
    fields.extend(command_docs::fields(spec.name));
    if !spec.subcommands.is_empty() {
        fields.push((word("subcommands"), Reply::Map(spec.subcommands.iter().map(document).collect())));
    }
    (word(spec.name), Reply::Map(fields))
}
