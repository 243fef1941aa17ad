//! `XRANGE` and `XREVRANGE`.

use super::stream_id;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;
use crate::redis::store::Stream;

pub(crate) fn xrange(call: &mut Call<'_>) -> Outcome {
    range(call, false)
}

pub(crate) fn xrevrange(call: &mut Call<'_>) -> Outcome {
    range(call, true)
}

fn range(call: &mut Call<'_>, back: bool) -> Outcome {
    let (start, end) = if back { (&call.args[3], &call.args[2]) } else { (&call.args[2], &call.args[3]) };
    let (start, end) = (stream_id::start(start)?, stream_id::end(end)?);
    let mut most = usize::MAX;
    for pair in call.rest(4).chunks(2) {
        let [word, count] = pair else { return Err(CmdError::SYNTAX) };
        if !is(word, "count") {
            return Err(CmdError::SYNTAX);
        }
        let count = strict_i64(count).ok_or(CmdError::NOT_INTEGER)?;
        most = usize::try_from(count).unwrap_or(0);
    }
    let Some(stream) = call.read_as::<Stream>(&call.args[1])? else { return Ok(Reply::Array(Vec::new())) };
    if most == 0 {
        return Ok(Reply::NullArray);
    }
    Ok(Reply::Array(if back {
        stream.range_back(start, end).take(most).map(stream_id::entry).collect()
    } else {
        stream.range(start, end).take(most).map(stream_id::entry).collect()
    }))
}
