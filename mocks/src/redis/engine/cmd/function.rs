//! `FUNCTION` and `FCALL`: libraries of functions, and calling one.

use bytes::Bytes;

use super::help_function as help;
use super::script::keys_and_args;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::lua::{self, Library, Policy, dump};
use crate::redis::engine::number::strict_i64;
use crate::redis::glob;
use crate::redis::resp::Reply;

pub(crate) fn fcall(call: &mut Call<'_>) -> Outcome {
    call_function(call, false)
}

pub(crate) fn fcall_ro(call: &mut Call<'_>) -> Outcome {
    call_function(call, true)
}

fn call_function(call: &mut Call<'_>, read_only: bool) -> Outcome {
    let program = call.engine.functions.program(&call.args[1]);
    let program = program.ok_or(CmdError::fixed("ERR Function not found"))?;
    if strict_i64(&call.args[2]).is_none() {
        return Err(CmdError::fixed("ERR Bad number of keys provided"));
    }
    let (keys, args) = keys_and_args(call)?;
    lua::run(call, &program, keys, args, read_only)
}

pub(crate) fn function_load(call: &mut Call<'_>) -> Outcome {
    let [options @ .., code] = call.rest(2) else { return Err(CmdError::SYNTAX) };
    if let Some(option) = options.iter().find(|option| !is(option, "replace")) {
        let option = String::from_utf8_lossy(option);
        return Err(CmdError::new(format!("ERR Unknown option given: {option}")));
    }
    let name = call.engine.functions.load(code, !options.is_empty())?;
    call.engine.store.count_changes(1);
    Ok(Reply::Bulk(name))
}

pub(crate) fn function_delete(call: &mut Call<'_>) -> Outcome {
    if !call.engine.functions.delete(&call.args[2]) {
        return Err(CmdError::fixed("ERR Library not found"));
    }
    call.engine.store.count_changes(1);
    Ok(Reply::OK)
}

pub(crate) fn function_flush(call: &mut Call<'_>) -> Outcome {
    match call.rest(2) {
        [] => {}
        [mode] if is(mode, "sync") || is(mode, "async") => {}
        [_] => return Err(CmdError::fixed("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")),
        _ => return Err(CmdError::wrong_subcommand(call.args)),
    }
    call.engine.functions.flush();
    call.engine.store.count_changes(1);
    Ok(Reply::OK)
}

pub(crate) fn function_list(call: &mut Call<'_>) -> Outcome {
    let mut pattern: Option<&Bytes> = None;
    let mut with_code = false;
    let mut options = call.rest(2).iter();
    while let Some(option) = options.next() {
        if !with_code && is(option, "withcode") {
            with_code = true;
        } else if pattern.is_none() && is(option, "libraryname") {
            let given = options.next();
            pattern = Some(given.ok_or(CmdError::fixed("ERR library name argument was not given"))?);
        } else {
            let option = String::from_utf8_lossy(option);
            return Err(CmdError::new(format!("ERR Unknown argument {option}")));
        }
    }
    let asked = |library: &&Library| {
        pattern.is_none_or(|pattern| glob::matches_ignoring_case(pattern, &library.name))
    };
    let libraries = call.engine.functions.libraries().filter(asked);
    Ok(Reply::Array(libraries.map(|library| describe(library, with_code)).collect()))
}

fn describe(library: &Library, with_code: bool) -> Reply {
    let functions = library.functions.iter().map(|(name, function)| {
        let flags = function.flags.names().map(|flag| Reply::Status(flag.into())).collect();
        Reply::Map(vec![
            (Reply::bulk("name"), Reply::bulk(name.clone())),
            (Reply::bulk("description"), Reply::bulk_or_null(function.description.clone())),
            (Reply::bulk("flags"), Reply::Set(flags)),
        ])
    });
    let mut fields = vec![
        (Reply::bulk("library_name"), Reply::Bulk(library.name.clone())),
        (Reply::bulk("engine"), Reply::bulk("LUA")),
        (Reply::bulk("functions"), Reply::Array(functions.collect())),
    ];
    if with_code {
        fields.push((Reply::bulk("library_code"), Reply::Bulk(library.code.clone())));
    }
    Reply::Map(fields)
}

pub(crate) fn function_stats(call: &mut Call<'_>) -> Outcome {
    // While a function runs no other command comes here; the connection answers for it.
    Ok(stats_reply(Reply::Null, call.engine.functions.counts()))
}

/// What `FUNCTION STATS` answers, given what runs and how many libraries and functions there are.
pub(crate) fn stats_reply(running: Reply, (libraries, functions): (usize, usize)) -> Reply {
    let engine = Reply::Map(vec![
        (Reply::bulk("libraries_count"), Reply::count(libraries)),
        (Reply::bulk("functions_count"), Reply::count(functions)),
    ]);
    Reply::Map(vec![
        (Reply::bulk("running_script"), running),
        (Reply::bulk("engines"), Reply::Map(vec![(Reply::bulk("LUA"), engine)])),
    ])
}

pub(crate) fn function_dump(call: &mut Call<'_>) -> Outcome {
    let codes = call.engine.functions.libraries().map(|library| &library.code);
    Ok(Reply::Bulk(dump::write(codes, super::dump::compresses(&call.engine.config))))
}

pub(crate) fn function_restore(call: &mut Call<'_>) -> Outcome {
    let policy = match call.rest(3) {
        [] => Policy::Append,
        [word] if is(word, "append") => Policy::Append,
        [word] if is(word, "replace") => Policy::Replace,
        [word] if is(word, "flush") => Policy::Flush,
        [_] => {
            return Err(CmdError::fixed(
                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            ));
        }
        _ => return Err(CmdError::wrong_subcommand(call.args)),
    };
    let codes = dump::read(&call.args[2]).map_err(|error| CmdError::new(error.to_string()))?;
    call.engine.functions.restore(&codes, policy)?;
    call.engine.store.count_changes(1);
    Ok(Reply::OK)
}

pub(crate) fn function_kill(_: &mut Call<'_>) -> Outcome {
    // While a function runs no other command comes here; the connection answers for it.
    Err(CmdError::fixed("NOTBUSY No scripts in execution right now."))
}

pub(crate) fn function_help(_: &mut Call<'_>) -> Outcome {
    super::help_reply(help::FUNCTION)
}
