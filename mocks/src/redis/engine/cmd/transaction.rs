//! `MULTI`, `EXEC`, `DISCARD`, `WATCH` and `UNWATCH`, behaving as `multi.c` of Redis 7.0.
//!
//! A transaction breaks if a watched key was written, removed or expired since it was watched. A key that had
//! expired before it was watched, but had not been deleted, does not break it by being deleted.

use crate::redis::engine::Engine;
use crate::redis::engine::call::{Call, Outcome};
use crate::redis::engine::client::{ClientId, Transaction, Watch};
use crate::redis::engine::error::CmdError;
use crate::redis::resp::Reply;

pub(crate) fn multi(call: &mut Call<'_>) -> Outcome {
    let client = call.client()?;
    if client.transaction.is_some() {
        return Err(CmdError::fixed("ERR MULTI calls can not be nested"));
    }
    client.transaction = Some(Transaction::default());
    Ok(Reply::OK)
}

pub(crate) fn discard(call: &mut Call<'_>) -> Outcome {
    if call.client()?.transaction.is_none() {
        return Err(CmdError::fixed("ERR DISCARD without MULTI"));
    }
    call.engine.discard(call.client);
    Ok(Reply::OK)
}

pub(crate) fn exec(call: &mut Call<'_>) -> Outcome {
    if call.client()?.transaction.is_none() {
        return Err(CmdError::fixed("ERR EXEC without MULTI"));
    }
    let expired = call.engine.watches_expired_key(call.client);
    let client = call.client()?;
    let broken = client.watch_broken || expired;
    let transaction = client.transaction.take().unwrap_or_default();
    call.engine.discard(call.client);
    if transaction.aborted {
        return Err(CmdError::EXEC_ABORT);
    }
    if broken {
        return Ok(Reply::NullArray);
    }
    call.engine.in_transaction = true;
    let run = |(spec, args): (_, Vec<_>)| {
        let sent = call.engine.deliveries();
        let reply = call.engine.call_queued(call.client, spec, &args);
        // What the client is told meanwhile stands between the replies, as it comes.
        let mut told = call.engine.recall(sent, call.client);
        if told.is_empty() {
            return reply;
        }
        told.push(reply);
        Reply::Several(told)
    };
    let replies = transaction.queue.into_iter().map(run).collect();
    call.engine.in_transaction = false;
    Ok(Reply::Array(replies))
}

pub(crate) fn watch(call: &mut Call<'_>) -> Outcome {
    if call.client()?.transaction.is_some() {
        return Err(CmdError::fixed("ERR WATCH inside MULTI is not allowed"));
    }
    let (id, db, now) = (call.client, call.db(), call.now_ms());
    for key in call.rest(1) {
        let place = (db, key.clone());
        let was_expired = call.engine.store.db(db).get(key).is_some_and(|entry| entry.is_expired(now));
        let client = call.client()?;
        if client.watches.iter().all(|watch| watch.place != place) {
            let client = call.client()?;
            client.watches.push(Watch { place: place.clone(), was_expired });
            call.engine.watched.entry(place).or_default().insert(id);
            call.engine.choose_notes();
        }
    }
    Ok(Reply::OK)
}

pub(crate) fn unwatch(call: &mut Call<'_>) -> Outcome {
    call.engine.unwatch(call.client);
    Ok(Reply::OK)
}

impl Engine {
    /// Ends a client's transaction and its watches.
    pub(crate) fn discard(&mut self, id: ClientId) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.transaction = None;
        }
        self.unwatch(id);
    }

    /// Whether a key expired since a client watched it, deleted or not.
    fn watches_expired_key(&self, id: ClientId) -> bool {
        let now = self.at.unix_ms();
        let expired = |watch: &Watch| {
            let entry = self.store.db(watch.place.0).get(&watch.place.1);
            !watch.was_expired && entry.is_some_and(|entry| entry.is_expired(now))
        };
        self.clients.get(&id).is_some_and(|client| client.watches.iter().any(expired))
    }
}
