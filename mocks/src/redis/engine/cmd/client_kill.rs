//! `CLIENT KILL`: ends of connections.

use bytes::Bytes;

use super::client::{class, server_address};
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::client::{Class, Client, ClientId};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;

/// Which connections `CLIENT KILL` closes.
#[derive(Default)]
struct Filter {
    id: Option<ClientId>,
    address: Option<Bytes>,
    server: Option<Bytes>,
    class: Option<Class>,
    others_only: bool,
}

impl Filter {
    fn parse(words: &[Bytes]) -> Result<Self, CmdError> {
        const NOT_AN_ID: CmdError = CmdError::fixed("ERR client-id should be greater than 0");
        let mut filter = Self { others_only: true, ..Self::default() };
        for pair in words.chunks(2) {
            let [word, value] = pair else { return Err(CmdError::SYNTAX) };
            if is(word, "id") {
                let id = strict_i64(value).and_then(|id| ClientId::try_from(id).ok());
                filter.id = Some(id.filter(|id| *id > 0).ok_or(NOT_AN_ID)?);
            } else if is(word, "addr") {
                filter.address = Some(value.clone());
            } else if is(word, "laddr") {
                filter.server = Some(value.clone());
            } else if is(word, "type") {
                filter.class = Some(class(value)?);
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

    fn matches(&self, client: &Client, me: ClientId, server: &str) -> bool {
        let is_address = |address: &Bytes| client.address.as_bytes() == address;
        self.id.is_none_or(|id| id == client.id)
            && self.address.as_ref().is_none_or(is_address)
            && self.server.as_ref().is_none_or(|address| address == server)
            && self.class.is_none_or(|class| class == client.class())
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
    let (me, server) = (call.client, server_address(call.engine));
    let found = call.engine.clients.values().filter(|client| filter.matches(client, me, &server));
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
