//! `CLIENT`: names and lists of connections, and what is said to them.

use bytes::Bytes;

use super::help;
use crate::redis::engine::Engine;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::client::{Class, Client, ClientId, Replies};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;

/// The address clients are told the server has: the engine knows no more of where it listens than the port.
pub(super) fn server_address(engine: &Engine) -> String {
    format!("127.0.0.1:{}", engine.config.get("port").unwrap_or_default())
}

pub(crate) fn client_id(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Int(i64::try_from(call.client).unwrap_or(i64::MAX)))
}

pub(crate) fn client_getname(call: &mut Call<'_>) -> Outcome {
    let name = call.client()?.name.clone();
    Ok(if name.is_empty() { Reply::Null } else { Reply::Bulk(name) })
}

pub(crate) fn client_setname(call: &mut Call<'_>) -> Outcome {
    let name = &call.args[2];
    check_name(name)?;
    call.client()?.name = name.clone();
    Ok(Reply::OK)
}

/// Names must not break the lines of `CLIENT LIST`.
pub(super) fn check_name(name: &[u8]) -> Result<(), CmdError> {
    const UNFIT: CmdError =
        CmdError::fixed("ERR Client names cannot contain spaces, newlines or special characters.");
    if name.iter().all(|byte| (b'!'..=b'~').contains(byte)) { Ok(()) } else { Err(UNFIT) }
}

pub(crate) fn client_info(call: &mut Call<'_>) -> Outcome {
    let (now, server) = (call.engine.at, server_address(call.engine));
    let size = size(call.args);
    Ok(verbatim(call.client()?.describe(now, &server, size)))
}

pub(crate) fn client_list(call: &mut Call<'_>) -> Outcome {
    let (clients, now, server) = (&call.engine.clients, call.engine.at, server_address(call.engine));
    let (me, size) = (call.client, size(call.args));
    let describe =
        |client: &Client| client.describe(now, &server, if client.id == me { size } else { (0, 0) });
    let text: String = match call.rest(2) {
        [] => clients.values().map(describe).collect(),
        [word, kind] if is(word, "type") => {
            let class = class(kind)?;
            clients.values().filter(|client| client.class() == class).map(describe).collect()
        }
        [word, ids @ ..] if is(word, "id") && !ids.is_empty() => {
            const INVALID: CmdError = CmdError::fixed("ERR Invalid client ID");
            let ids = ids.iter().map(|id| strict_i64(id).ok_or(INVALID)).collect::<Result<Vec<_>, _>>()?;
            let found = ids.into_iter().filter_map(|id| clients.get(&ClientId::try_from(id).ok()?));
            found.map(describe).collect()
        }
        _ => return Err(CmdError::SYNTAX),
    };
    Ok(verbatim(text))
}

/// How long a command is on the wire, and its arguments alone.
fn size(args: &[Bytes]) -> (usize, usize) {
    let digits = |number: usize| number.to_string().len();
    // `*`, `$` and line ends are three bytes with each number, and two with each argument.
    let framed = |argument: &Bytes| 5 + digits(argument.len()) + argument.len();
    let wire = 3 + digits(args.len()) + args.iter().map(framed).sum::<usize>();
    (wire, args.iter().map(Bytes::len).sum())
}

/// The class of clients of this name.
pub(super) fn class(name: &[u8]) -> Result<Class, CmdError> {
    let unknown = || CmdError::new(format!("ERR Unknown client type '{}'", String::from_utf8_lossy(name)));
    Class::named(name).ok_or_else(unknown)
}

pub(crate) fn client_reply(call: &mut Call<'_>) -> Outcome {
    let word = &call.args[2];
    let client = call.client()?;
    if is(word, "on") {
        client.replies = Replies::On;
    } else if is(word, "off") {
        client.replies = Replies::Off;
    } else if is(word, "skip") {
        if client.replies != Replies::Off {
            client.replies = Replies::SkipNext;
        }
    } else {
        return Err(CmdError::SYNTAX);
    }
    Ok(Reply::OK)
}

pub(crate) fn client_no_evict(call: &mut Call<'_>) -> Outcome {
    let word = &call.args[2];
    let on = is(word, "on");
    if !on && !is(word, "off") {
        return Err(CmdError::SYNTAX);
    }
    call.client()?.never_evict = on;
    Ok(Reply::OK)
}

pub(crate) fn client_help(_: &mut Call<'_>) -> Outcome {
    super::help_reply(help::CLIENT)
}

fn verbatim(text: String) -> Reply {
    Reply::Verbatim(Bytes::from_static(b"txt"), Bytes::from(text))
}
