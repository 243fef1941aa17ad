//! The parts of `DEBUG` that look at a value or show one of each kind of reply.

use bytes::Bytes;

use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::resp::Reply;

/// What these parts answer; `None` if the word is not one of theirs.
pub(super) fn debug_value(call: &mut Call<'_>) -> Option<Outcome> {
    match call.rest(1) {
        [word, key] if is(word, "object") => Some(object(call, key)),
        [word, kind] if is(word, "protocol") => Some(protocol(call.protocol(), kind)),
        [word, _] if is(word, "log") => Some(Ok(Reply::OK)),
        [word, ..] if is(word, "reload") || is(word, "loadaof") => Some(reload(call)),
        [word, size] if is(word, "quicklist-packed-threshold") => Some(threshold(size)),
        _ => None,
    }
}

/// There is no address and no saved form to tell the size of: the length is that of the payload.
fn object(call: &mut Call<'_>, key: &Bytes) -> Outcome {
    let now = call.now_ms();
    let entry = call.engine.store.db(call.db()).get(key).ok_or(CmdError::NO_KEY)?;
    let idle = now.saturating_sub(entry.used_ms).max(0) / 1000;
    let clock = entry.used_ms.div_euclid(1000) & 0xff_ffff;
    let (encoding, length) = (entry.value.encoding(), entry.value.weight() + 1);
    Ok(Reply::Status(
        format!(
            "Value at:0x0 refcount:1 encoding:{encoding} serializedlength:{length} lru:{clock} \
             lru_seconds_idle:{idle}"
        )
        .into(),
    ))
}

fn protocol(version: u8, kind: &[u8]) -> Outcome {
    const UNKNOWN: CmdError = CmdError::fixed(
        "ERR Wrong protocol type name. Please use one of the following: \
         string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
    );
    const NO_PUSH: CmdError = CmdError::fixed("ERR RESP2 is not supported by this command");
    #[expect(clippy::approx_constant, reason = "the real server's example, which is not pi")]
    const DOUBLE: f64 = 3.141;
    let three = || (0..3).map(Reply::Int).collect();
    Ok(match String::from_utf8_lossy(kind).to_ascii_lowercase().as_str() {
        "string" => Reply::bulk("Hello World"),
        "integer" => Reply::Int(12345),
        "double" => Reply::Double(DOUBLE),
        "bignum" => Reply::BigNumber(Bytes::from_static(b"1234567999999999999999999999999999999")),
        "null" => Reply::Null,
        "array" => Reply::Array(three()),
        "set" => Reply::Set(three()),
        "map" => Reply::Map((0..3).map(|at| (Reply::Int(at), Reply::Bool(at == 1))).collect()),
        "attrib" => Reply::Several(vec![
            Reply::Attributes(vec![(
                Reply::bulk("key-popularity"),
                Reply::Array(vec![Reply::bulk("key:123"), Reply::Int(90)]),
            )]),
            Reply::bulk("Some real reply following the attribute"),
        ]),
        "push" if version < 3 => return Err(NO_PUSH),
        "push" => Reply::Several(vec![
            Reply::Push(vec![Reply::bulk("server-cpu-usage"), Reply::Int(42)]),
            Reply::bulk("Some real reply following the push reply"),
        ]),
        "verbatim" => {
            Reply::Verbatim(Bytes::from_static(b"txt"), Bytes::from_static(b"This is a verbatim\nstring"))
        }
        "true" => Reply::Bool(true),
        "false" => Reply::Bool(false),
        _ => return Err(UNKNOWN),
    })
}

/// Saving and loading again leaves the data as it is, but for keys that expired.
fn reload(call: &mut Call<'_>) -> Outcome {
    const OPTIONS: CmdError =
        CmdError::fixed("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
    let is_known = |word: &Bytes| ["merge", "noflush", "nosave"].iter().any(|known| is(word, known));
    if !call.rest(2).iter().all(is_known) {
        return Err(OPTIONS);
    }
    let now = call.now_ms();
    call.engine.store.expire_due(now, usize::MAX);
    Ok(Reply::OK)
}

/// Lists here are not made of nodes that could be packed: the size is checked only.
fn threshold(size: &[u8]) -> Outcome {
    const UNFIT: CmdError =
        CmdError::fixed("ERR argument must be a memory value bigger than 1 and smaller than 4gb");
    let digits = size.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&size[..digits]).ok().and_then(|text| text.parse::<u64>().ok());
    let fits = number.is_some_and(|number| number < 1 << 32);
    if fits { Ok(Reply::OK) } else { Err(UNFIT) }
}
