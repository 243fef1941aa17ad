//! `SLOWLOG`: looking at the commands that took long.

use super::help_admin as help;
use crate::redis::engine::call::{Call, Outcome};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::slowlog::SlowEntry;
use crate::redis::resp::Reply;

pub(crate) fn slowlog_get(call: &mut Call<'_>) -> Outcome {
    const RANGE: CmdError = CmdError::fixed("ERR count should be greater than or equal to -1");
    let count = match call.rest(2) {
        [] => 10,
        [_] => match call.integer(2).map_err(|_| RANGE)? {
            -1 => usize::MAX,
            count => usize::try_from(count).map_err(|_| RANGE)?,
        },
        _ => return Err(CmdError::wrong_subcommand(call.args)),
    };
    Ok(Reply::Array(call.engine.slow_log.iter().take(count).map(entry).collect()))
}

fn entry(entry: &SlowEntry) -> Reply {
    Reply::Array(vec![
        Reply::Int(entry.id),
        Reply::Int(entry.at_s),
        Reply::Int(entry.took_us),
        Reply::bulks(entry.args.iter().cloned()),
        Reply::bulk(entry.address.clone()),
        Reply::Bulk(entry.client.clone()),
    ])
}

pub(crate) fn slowlog_len(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::count(call.engine.slow_log.iter().len()))
}

pub(crate) fn slowlog_reset(call: &mut Call<'_>) -> Outcome {
    call.engine.slow_log.clear();
    Ok(Reply::OK)
}

pub(crate) fn slowlog_help(_: &mut Call<'_>) -> Outcome {
    super::help_reply(help::SLOWLOG)
}
