//! The parts of `DEBUG` that make data and tell how it is held.
//!
//! Of hash tables the size is told, which depends on the number of elements, but not how the elements are spread.

use bytes::Bytes;

use crate::redis::engine::call::{Call, Outcome, count_of, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::eviction::{allocated, sds};
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;
use crate::redis::store::{Str, Value};

/// Keys that one command makes at most, and bytes of their values, so that a slip does not fill the machine.
const MOST_KEYS: usize = 10_000_000;
const MOST_BYTES: usize = 1024 * 1024 * 1024;

/// What these parts answer; `None` if the word is not one of theirs.
pub(super) fn debug_data(call: &mut Call<'_>) -> Option<Outcome> {
    match call.rest(1) {
        [word, count, rest @ ..] if is(word, "populate") && rest.len() <= 2 => {
            Some(populate(call, count, rest.first(), rest.get(1)))
        }
        [word] if is(word, "digest") => Some(super::debug_digest::digest(call)),
        [word, keys @ ..] if is(word, "digest-value") => Some(super::debug_digest::digest_values(call, keys)),
        [word, key] if is(word, "listpack") => Some(shape(call, key, "Listpack")),
        [word, key] | [word, key, _] if is(word, "quicklist") => Some(shape(call, key, "Quicklist")),
        [word, db] if is(word, "htstats") => Some(tables(call, db)),
        [word, key] if is(word, "htstats-key") => Some(table(call, key)),
        [word, key] if is(word, "sdslen") => Some(string_sizes(call, key)),
        _ => None,
    }
}

fn populate(call: &mut Call<'_>, count: &[u8], prefix: Option<&Bytes>, size: Option<&Bytes>) -> Outcome {
    const TOO_MUCH: CmdError =
        CmdError::fixed("ERR this mock makes 10000000 keys and 1 GB of values at a time at most");
    let count = count_of(count)?;
    let size = size.map(|size| count_of(size)).transpose()?.unwrap_or(0);
    if count > MOST_KEYS || count.saturating_mul(size) > MOST_BYTES {
        return Err(TOO_MUCH);
    }
    let prefix = prefix.map_or(&b"key"[..], |prefix| prefix);
    for number in 0..count {
        let key = Bytes::from([prefix, format!(":{number}").as_bytes()].concat());
        if call.look(&key).is_some() {
            continue;
        }
        let mut value = format!("value:{number}").into_bytes();
        if size > 0 {
            value.resize(size, 0);
        }
        call.put(&key, Value::Str(Str::plain(value.into())), None);
    }
    Ok(Reply::OK)
}

/// The real server prints the listpack or quicklist on its own output: there is nobody here to read that.
fn shape(call: &mut Call<'_>, key: &Bytes, name: &'static str) -> Outcome {
    let entry = call.look(key).ok_or(CmdError::NO_KEY)?;
    if entry.value.encoding().eq_ignore_ascii_case(name) {
        return Ok(Reply::Status(format!("{name} structure printed on stdout").into()));
    }
    Err(CmdError::new(format!("ERR Not a {} encoded object.", name.to_ascii_lowercase())))
}

fn tables(call: &Call<'_>, db: &[u8]) -> Outcome {
    let db = strict_i64(db).ok_or(CmdError::NOT_INTEGER)?;
    let known = usize::try_from(db).ok().filter(|db| *db < call.engine.store.databases());
    let db = call.engine.store.db(known.ok_or(CmdError::fixed("ERR Out of range database"))?);
    let text = format!("[Dictionary HT]\n{}[Expires HT]\n{}", stats(db.len()), stats(db.deadlines()));
    Ok(verbatim(text))
}

fn table(call: &mut Call<'_>, key: &Bytes) -> Outcome {
    const NO_TABLE: CmdError =
        CmdError::fixed("ERR The value stored at the specified key is not represented using an hash table");
    let elements = call.look(key).ok_or(CmdError::NO_KEY)?.value.table_len().ok_or(NO_TABLE)?;
    Ok(verbatim(stats(elements)))
}

fn stats(elements: usize) -> String {
    let head = "Hash table 0 stats (main hash table):\n";
    if elements == 0 {
        return format!("{head}No stats available for empty dictionaries\n");
    }
    let size = elements.next_power_of_two().max(4);
    format!("{head} table size: {size}\n number of elements: {elements}\n")
}

fn verbatim(text: String) -> Reply {
    Reply::Verbatim(Bytes::from_static(b"txt"), Bytes::from(text))
}

/// Lengths of a key and its string, and what they take of memory; nothing is kept in reserve here.
fn string_sizes(call: &mut Call<'_>, key: &Bytes) -> Outcome {
    const NO_TEXT: CmdError = CmdError::fixed("ERR Not an sds encoded string.");
    let entry = call.look(key).ok_or(CmdError::NO_KEY)?;
    let encoding = entry.value.encoding();
    let text = match &entry.value {
        Value::Str(text) if encoding != "int" => text.data(),
        _ => return Err(NO_TEXT),
    };
    let taken = if encoding == "embstr" { allocated(text.len() + 20) - 16 } else { sds(text.len()) };
    Ok(Reply::Status(
        format!(
            "key_sds_len:{}, key_sds_avail:0, key_zmalloc: {}, val_sds_len:{}, val_sds_avail:0, val_zmalloc: {taken}",
            key.len(),
            sds(key.len()),
            text.len(),
        )
        .into(),
    ))
}
