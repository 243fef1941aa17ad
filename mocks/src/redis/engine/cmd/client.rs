//! `CLIENT`: names, lists and ends of connections.

use bytes::Bytes;

use super::help;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::client::{Client, ClientId, Replies};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;

/// The address clients are told the server has: the engine does not know where it listens.
const SERVER: &str = "127.0.0.1:6379";

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
    let now = call.engine.at;
    Ok(verbatim(call.client()?.describe(now, SERVER)))
}

pub(crate) fn client_list(call: &mut Call<'_>) -> Outcome {
    let chosen: Option<Vec<ClientId>> = match call.rest(2) {
        [] => None,
        [word, kind] if is(word, "type") => {
            is_normal(kind)?.then_some(()).map_or(Some(Vec::new()), |()| None)
        }
        [word, ids @ ..] if is(word, "id") && !ids.is_empty() => {
            const INVALID: CmdError = CmdError::fixed("ERR Invalid client ID");
            let id =
                |text: &Bytes| strict_i64(text).and_then(|id| ClientId::try_from(id).ok()).ok_or(INVALID);
            Some(ids.iter().map(id).collect::<Result<_, _>>()?)
        }
        _ => return Err(CmdError::SYNTAX),
    };
    let (clients, now) = (&call.engine.clients, call.engine.at);
    let text: String = match chosen {
        None => clients.values().map(|client| client.describe(now, SERVER)).collect(),
        Some(ids) => {
            ids.iter().filter_map(|id| clients.get(id)).map(|client| client.describe(now, SERVER)).collect()
        }
    };
    Ok(verbatim(text))
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

/// Which connections `CLIENT KILL` closes.
#[derive(Default)]
struct Filter {
    id: Option<ClientId>,
    address: Option<Bytes>,
    server: Option<Bytes>,
    others_only: bool,
    nobody: bool,
}

impl Filter {
    fn parse(words: &[Bytes]) -> Result<Self, CmdError> {
        const NOT_AN_ID: CmdError = CmdError::fixed("ERR client-id should be greater than 0");
        let mut filter = Self { others_only: true, ..Self::default() };
        if !words.len().is_multiple_of(2) {
            return Err(CmdError::SYNTAX);
        }
        for pair in words.chunks_exact(2) {
            let (word, value) = (&pair[0], &pair[1]);
            if is(word, "id") {
                let id = strict_i64(value).and_then(|id| ClientId::try_from(id).ok());
                filter.id = Some(id.filter(|id| *id > 0).ok_or(NOT_AN_ID)?);
            } else if is(word, "addr") {
                filter.address = Some(value.clone());
            } else if is(word, "laddr") {
                filter.server = Some(value.clone());
            } else if is(word, "type") {
                filter.nobody |= !is_normal(value)?;
            } else if is(word, "user") {
                if value != "default" {
                    let user = String::from_utf8_lossy(value);
                    return Err(CmdError::new(format!("ERR No such user '{user}'")));
                }
            } else if is(word, "skipme") && is(value, "yes") {
                filter.others_only = true;
            } else if is(word, "skipme") && is(value, "no") {
                filter.others_only = false;
            } else {
                return Err(CmdError::SYNTAX);
            }
        }
        Ok(filter)
    }

    fn matches(&self, client: &Client, me: ClientId) -> bool {
        let is_address = |address: &Bytes| client.address.as_bytes() == address;
        !self.nobody
            && self.id.is_none_or(|id| id == client.id)
            && self.address.as_ref().is_none_or(is_address)
            && self.server.as_ref().is_none_or(|server| server == SERVER)
            && !(self.others_only && client.id == me)
    }
}

pub(crate) fn client_kill(call: &mut Call<'_>) -> Outcome {
    let words = call.rest(2);
    // The old form names an address, and says whether there was such a connection.
    let old_form = words.len() == 1;
    let filter = match words {
        [address] => Filter { address: Some(address.clone()), ..Filter::default() },
        words => Filter::parse(words)?,
    };
    let me = call.client;
    let found = call.engine.clients.values().filter(|client| filter.matches(client, me));
    let found: Vec<ClientId> = found.map(|client| client.id).collect();
    for id in &found {
        if *id == me {
            call.engine.close = true;
        } else {
            call.engine.disconnect(*id);
            call.engine.kill.push(*id);
        }
    }
    match (old_form, found.is_empty()) {
        (true, true) => Err(CmdError::fixed("ERR No such client")),
        (true, false) => Ok(Reply::OK),
        (false, _) => Ok(Reply::count(found.len())),
    }
}

/// Whether a type of client is the one there is here; others of Redis' types have no clients.
fn is_normal(kind: &[u8]) -> Result<bool, CmdError> {
    if is(kind, "normal") {
        return Ok(true);
    }
    if ["master", "replica", "slave", "pubsub"].iter().any(|known| is(kind, known)) {
        return Ok(false);
    }
    Err(CmdError::new(format!("ERR Unknown client type '{}'", String::from_utf8_lossy(kind))))
}

fn verbatim(text: String) -> Reply {
    Reply::Verbatim(Bytes::from_static(b"txt"), Bytes::from(text))
}
