//! `MEMORY`: how much the data would take in a real server. The sizes are [`crate::redis::engine::eviction`]'s.

use bytes::Bytes;

use super::help_admin as help;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::eviction::{EMPTY_BYTES, key_bytes};
use crate::redis::resp::Reply;

pub(crate) fn memory_usage(call: &mut Call<'_>) -> Outcome {
    let mut options = call.rest(3);
    while let [word, count, rest @ ..] = options {
        if !is(word, "samples") {
            return Err(CmdError::SYNTAX);
        }
        let count = crate::redis::engine::number::strict_i64(count).ok_or(CmdError::NOT_INTEGER)?;
        if count < 0 {
            return Err(CmdError::SYNTAX);
        }
        options = rest;
    }
    if !options.is_empty() {
        return Err(CmdError::SYNTAX);
    }
    let key = &call.args[2];
    // A key that expired but was not deleted still takes its room.
    // A node of a cluster links the keys of each slot.
    let links = if call.engine.cluster.is_some() { 16 } else { 0 };
    let entry = call.engine.store.db(call.db()).get(key);
    Ok(entry.map_or(Reply::Null, |entry| Reply::count(key_bytes(key, entry) + links)))
}

pub(crate) fn memory_stats(call: &mut Call<'_>) -> Outcome {
    let engine = &call.engine;
    let (used, peak) = (engine.used_memory(), engine.peak_memory());
    let keys: usize = (0..engine.store.databases()).map(|db| engine.store.db(db).len()).sum();
    let dataset = used.saturating_sub(EMPTY_BYTES);
    #[expect(clippy::cast_precision_loss, reason = "percentages for people")]
    let percent = |part: usize, whole: usize| Reply::Double(part as f64 * 100.0 / whole.max(1) as f64);
    let count = |value: usize| Reply::count(value);
    let mut fields: Vec<(Reply, Reply)> = Vec::new();
    let mut add = |name: String, value: Reply| fields.push((Reply::bulk(name), value));
    for (name, value) in
        [("peak.allocated", peak), ("total.allocated", used), ("startup.allocated", EMPTY_BYTES)]
    {
        add(name.to_owned(), count(value));
    }
    for name in [
        "replication.backlog",
        "clients.slaves",
        "clients.normal",
        "cluster.links",
        "aof.buffer",
        "lua.caches",
        "functions.caches",
    ] {
        add(name.to_owned(), count(0));
    }
    for db in 0..engine.store.databases() {
        let held = engine.store.db(db);
        if held.is_empty() {
            continue;
        }
        let table = |keys: usize| count(keys * 24 + keys.next_power_of_two().max(4) * 8);
        let overhead = vec![
            (Reply::bulk("overhead.hashtable.main"), table(held.len())),
            (Reply::bulk("overhead.hashtable.expires"), table(held.deadlines())),
            (Reply::bulk("overhead.hashtable.slot-to-keys"), count(0)),
        ];
        add(format!("db.{db}"), Reply::Map(overhead));
    }
    add("overhead.total".to_owned(), count(EMPTY_BYTES));
    add("keys.count".to_owned(), count(keys));
    add("keys.bytes-per-key".to_owned(), count(dataset.checked_div(keys).unwrap_or(0)));
    add("dataset.bytes".to_owned(), count(dataset));
    add("dataset.percentage".to_owned(), percent(dataset, dataset));
    add("peak.percentage".to_owned(), percent(used, peak));
    for name in ["allocator.allocated", "allocator.active", "allocator.resident"] {
        add(name.to_owned(), count(used));
    }
    for name in ["allocator-fragmentation", "allocator-rss", "rss-overhead"] {
        add(format!("{name}.ratio"), Reply::Double(1.0));
        add(format!("{name}.bytes"), count(0));
    }
    add("fragmentation".to_owned(), Reply::Double(1.0));
    add("fragmentation.bytes".to_owned(), count(0));
    Ok(Reply::Map(fields))
}

pub(crate) fn memory_doctor(call: &mut Call<'_>) -> Outcome {
    const EMPTY: &str = "Hi Sam, this instance is empty or is using very little memory, my issues detector can't be \
        used in these conditions. Please, leave for your mission on Earth and fill it with some data. The new Sam \
        and I will be back to our programming as soon as I finished rebooting.\n";
    const WELL: &str = "Hi Sam, I can't find any memory issue in your instance. I can only account for what occurs \
        on this base.\n";
    /// Below this the real server does not look for problems.
    const LITTLE: usize = 5 * 1024 * 1024;
    let text = if call.engine.used_memory() < LITTLE { EMPTY } else { WELL };
    Ok(Reply::Verbatim(Bytes::from_static(b"txt"), Bytes::from_static(text.as_bytes())))
}

pub(crate) fn memory_purge(_: &mut Call<'_>) -> Outcome {
    Ok(Reply::OK)
}

pub(crate) fn memory_malloc_stats(_: &mut Call<'_>) -> Outcome {
    Ok(Reply::bulk("Stats not supported for the current allocator"))
}

pub(crate) fn memory_help(_: &mut Call<'_>) -> Outcome {
    super::help_reply(help::MEMORY)
}
