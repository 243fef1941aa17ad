//! `CONFIG`: parameters, and the file they are from.

use std::io::ErrorKind;

use super::help;
use crate::redis::engine::call::{Call, Outcome};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::files::reason;
use crate::redis::engine::rewrite::rewrite;
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

pub(crate) fn config_rewrite(call: &mut Call<'_>) -> Outcome {
    const NO_FILE: CmdError = CmdError::fixed("ERR The server is running without a config file");
    let config = &call.engine.config;
    let home = config.home.as_ref().ok_or(NO_FILE)?;
    let path = home.config.as_deref().ok_or(NO_FILE)?;
    let failed = |error| CmdError::new(format!("ERR Rewriting config file: {}", reason(&error)));
    let old = match home.files.read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        read => read.map_err(failed)?,
    };
    let has_file_of_users = config.get("aclfile").is_some_and(|file| !file.is_empty());
    let users = (!has_file_of_users).then(|| call.engine.acl_lines());
    home.files.write(path, &rewrite(&old, config, users)).map_err(failed)?;
    Ok(Reply::OK)
}

pub(crate) fn config_help(_: &mut Call<'_>) -> Outcome {
    super::help_reply(help::CONFIG)
}
