//! A connection's own business: greeting, authentication, database, farewell.
//!
//! Who may log in is decided in `engine/acl`.

use bytes::Bytes;

use super::keyspace::database;
use crate::redis::engine::acl;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::client::Replies;
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;

pub(crate) fn ping(call: &mut Call<'_>) -> Outcome {
    let only_listens = call.client()?.only_listens();
    match call.rest(1) {
        [] | [_] if only_listens => {
            // A subscriber of version 2 reads nothing but messages.
            let text = call.args.get(1).cloned().unwrap_or_default();
            Ok(Reply::Array(vec![Reply::bulk("pong"), Reply::Bulk(text)]))
        }
        [] => Ok(Reply::Status("PONG".into())),
        [text] => Ok(Reply::Bulk(text.clone())),
        _ => Err(CmdError::wrong_arity("ping")),
    }
}

pub(crate) fn echo(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Bulk(call.args[1].clone()))
}

pub(crate) fn quit(call: &mut Call<'_>) -> Outcome {
    call.engine.close = true;
    Ok(Reply::OK)
}

pub(crate) fn select(call: &mut Call<'_>) -> Outcome {
    let number = call.integer(1)?;
    if number != 0 && call.engine.cluster.is_some() {
        return Err(CmdError::fixed("ERR SELECT is not allowed in cluster mode"));
    }
    let db = database(call, number).ok_or(CmdError::INDEX)?;
    call.client()?.db = db;
    Ok(Reply::OK)
}

pub(crate) fn reset(call: &mut Call<'_>) -> Outcome {
    call.engine.discard(call.client);
    call.engine.forget_subscriptions(call.client);
    call.engine.untrack(call.client);
    call.engine.monitors.shift_remove(&call.client);
    let authenticated = call.engine.acl.is_open();
    let client = call.client()?;
    client.db = 0;
    client.name = Bytes::new();
    client.protocol = 2;
    client.replies = Replies::On;
    client.monitors = false;
    client.authenticated = authenticated;
    client.user = acl::DEFAULT;
    Ok(Reply::Status("RESET".into()))
}

pub(crate) fn auth(call: &mut Call<'_>) -> Outcome {
    const NO_PASSWORD: CmdError = CmdError::fixed(
        "ERR AUTH <password> called without any password configured for the default user. \
         Are you sure your configuration is correct?",
    );
    match call.rest(1) {
        [_] if call.engine.acl.default_needs_no_password() => Err(NO_PASSWORD),
        [password] => authenticate(call, &acl::DEFAULT, password),
        [user, password] => authenticate(call, user, password),
        _ => Err(CmdError::SYNTAX),
    }
    .map(|()| Reply::OK)
}

fn authenticate(call: &mut Call<'_>, user: &Bytes, password: &Bytes) -> Result<(), CmdError> {
    call.engine.authenticate(call.client, user, password, &call.args[0])
}

pub(crate) fn hello(call: &mut Call<'_>) -> Outcome {
    const NOT_A_VERSION: CmdError = CmdError::fixed("ERR Protocol version is not an integer or out of range");
    const NO_AUTH: CmdError = CmdError::fixed(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH \
         <user> <pass> option can be used to authenticate the client and select the RESP protocol version at \
         the same time",
    );
    let version = call.args.get(1).map(|text| strict_i64(text).ok_or(NOT_A_VERSION)).transpose()?;
    let version = match version {
        None => None,
        Some(2) => Some(2),
        Some(3) => Some(3),
        Some(_) => return Err(CmdError::fixed("NOPROTO unsupported protocol version")),
    };
    let (mut name, mut rest) = (None, call.rest(2));
    while let [word, tail @ ..] = rest {
        rest = match tail {
            [user, password, tail @ ..] if is(word, "auth") => {
                authenticate(call, user, password)?;
                tail
            }
            [value, tail @ ..] if is(word, "setname") => {
                super::client::check_name(value)?;
                name = Some(value.clone());
                tail
            }
            _ => {
                let word = String::from_utf8_lossy(word);
                return Err(CmdError::new(format!("ERR Syntax error in HELLO option '{word}'")));
            }
        };
    }
    let password_set = !call.engine.acl.is_open();
    let client = call.client()?;
    if password_set && !client.authenticated {
        return Err(NO_AUTH);
    }
    client.protocol = version.unwrap_or(client.protocol);
    if let Some(name) = name {
        client.name = name;
    }
    let (protocol, id) = (client.protocol, client.id);
    let text = |text: &'static str| Reply::bulk(text);
    Ok(Reply::Map(vec![
        (text("server"), text("redis")),
        (text("version"), text(call.engine.version.number())),
        (text("proto"), Reply::Int(i64::from(protocol))),
        (text("id"), Reply::Int(i64::try_from(id).unwrap_or(i64::MAX))),
        (text("mode"), text(call.engine.mode())),
        (text("role"), text(if call.engine.read_only { "replica" } else { "master" })),
        (text("modules"), Reply::Array(Vec::new())),
    ]))
}
