//! `CONFIG`. There is no file to rewrite: a server started with one only read it.

use super::help;
use crate::redis::engine::call::{Call, Outcome};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::stats::Stats;
use crate::redis::resp::Reply;

pub(crate) fn config_get(call: &mut Call<'_>) -> Outcome {
    let found = call.engine.config.matching(call.rest(2));
    let pair = |(name, value)| (Reply::bulk(name), Reply::bulk(value));
    Ok(Reply::Map(found.into_iter().map(pair).collect()))
}

pub(crate) fn config_set(call: &mut Call<'_>) -> Outcome {
    let words = call.rest(2);
    if !words.len().is_multiple_of(2) {
        return Err(CmdError::SYNTAX);
    }
    let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
    let pairs: Vec<_> = words.chunks_exact(2).map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
    call.engine.config.set(&pairs).map_err(CmdError::new)?;
    call.engine.config_was_set(&pairs);
    // The replica is configured alike, so that it holds values alike.
    call.replicate(call.args.to_vec());
    Ok(Reply::OK)
}

pub(crate) fn config_resetstat(call: &mut Call<'_>) -> Outcome {
    call.engine.stats = Stats::default();
    Ok(Reply::OK)
}

pub(crate) fn config_rewrite(_: &mut Call<'_>) -> Outcome {
    Err(CmdError::fixed("ERR The server is running without a config file"))
}

pub(crate) fn config_help(_: &mut Call<'_>) -> Outcome {
    super::help_reply(help::CONFIG)
}
