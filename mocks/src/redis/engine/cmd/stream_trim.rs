//! The options that `XADD` and `XTRIM` share: what to trim a stream to.

use bytes::Bytes;

use super::stream_id::{self, NewId};
use crate::redis::engine::call::{Call, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::store::{Stream, Trim, TrimTo};

/// What `XADD` or `XTRIM` was told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) trim: Option<Trim>,
    /// Where the length or ID to trim to stands.
    trim_at: usize,
    /// Where the pair `LIMIT n` stands.
    limit_at: Option<usize>,
    /// `XADD` only: makes no stream.
    pub(super) only_if_exists: bool,
    /// `XADD` only.
    pub(super) id: NewId,
    /// `XADD` only: where the ID stands.
    pub(super) id_at: usize,
}

const LIMIT_ALONE: CmdError =
    CmdError::fixed("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy");
const LIMIT_EXACT: CmdError =
    CmdError::fixed("ERR syntax error, LIMIT cannot be used without the special ~ option");

impl Options {
    /// Reads the options; those of `XADD` end with an ID.
    pub(super) fn parse(call: &Call<'_>, adds: bool) -> Result<Self, CmdError> {
        let args = call.args;
        let mut options = Self {
            trim: None,
            trim_at: 0,
            limit_at: None,
            only_if_exists: false,
            id: NewId::Auto,
            id_at: args.len(),
        };
        let mut limit = 0;
        let mut at = 2;
        while let Some(word) = args.get(at) {
            let has_more = at + 1 < args.len();
            if adds && word.as_ref() == b"*" {
                options.id_at = at;
                break;
            } else if (is(word, "maxlen") || is(word, "minid")) && has_more {
                at = options.parse_trim(args, at)?;
            } else if is(word, "limit") && has_more {
                limit = strict_i64(&args[at + 1]).ok_or(CmdError::NOT_INTEGER)?;
                if limit < 0 {
                    return Err(CmdError::fixed("ERR The LIMIT argument must be >= 0."));
                }
                options.limit_at = Some(at);
                at += 2;
            } else if adds && is(word, "nomkstream") {
                options.only_if_exists = true;
                at += 1;
            } else if adds {
                options.id = NewId::parse(word)?;
                options.id_at = at;
                break;
            } else {
                return Err(CmdError::SYNTAX);
            }
        }
        options.limit(call, limit, adds)?;
        Ok(options)
    }

    /// Reads what to trim to; where the next option is.
    fn parse_trim(&mut self, args: &[Bytes], at: usize) -> Result<usize, CmdError> {
        const BOTH: CmdError =
            CmdError::fixed("ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
        if self.trim.is_some() {
            return Err(BOTH);
        }
        let sign = args.get(at + 1).filter(|_| at + 2 < args.len()).map(AsRef::as_ref);
        let approximate = sign == Some(b"~");
        let value_at = if approximate || sign == Some(b"=") { at + 2 } else { at + 1 };
        let to = if is(&args[at], "maxlen") {
            let length = strict_i64(&args[value_at]).ok_or(CmdError::NOT_INTEGER)?;
            let length = u64::try_from(length);
            TrimTo::Length(length.map_err(|_| CmdError::fixed("ERR The MAXLEN argument must be >= 0."))?)
        } else {
            TrimTo::Id(stream_id::strict(&args[value_at])?)
        };
        self.trim = Some(Trim { to, approximate, limit: 0 });
        self.trim_at = value_at;
        Ok(value_at + 1)
    }

    /// How many entries to delete at most: an approximate trim is limited if not told otherwise.
    fn limit(&mut self, call: &Call<'_>, limit: i64, adds: bool) -> Result<(), CmdError> {
        const NOTHING: CmdError =
            CmdError::fixed("ERR syntax error, XTRIM must be called with a trimming strategy");
        if limit != 0 && self.trim.is_none() {
            return Err(LIMIT_ALONE);
        }
        if !adds && self.trim.is_none() {
            return Err(NOTHING);
        }
        let approximate = self.trim.is_some_and(|trim| trim.approximate);
        if self.limit_at.is_some() && !approximate {
            return Err(LIMIT_EXACT);
        }
        if let Some(trim) = self.trim.as_mut().filter(|_| approximate) {
            let limit = if self.limit_at.is_some() { limit } else { usual_limit(call) };
            trim.limit = u64::try_from(limit).unwrap_or(0);
        }
        Ok(())
    }

    /// The command line for a replica: an approximate trim becomes the exact one it was, since the replica's
    /// nodes may differ.
    pub(super) fn exact(&self, args: Vec<Bytes>, stream: &Stream) -> Vec<Bytes> {
        let mut exact = args;
        let Some(trim) = self.trim.filter(|trim| trim.approximate) else { return exact };
        exact[self.trim_at - 1] = Bytes::from_static(b"=");
        exact[self.trim_at] = match trim.to {
            TrimTo::Length(_) => Bytes::from(stream.len().to_string()),
            TrimTo::Id(_) => stream_id::text(stream.first_kept_id()),
        };
        if let Some(at) = self.limit_at {
            exact.drain(at..at + 2);
        }
        exact
    }
}

/// 100 nodes full of entries, within reason.
fn usual_limit(call: &Call<'_>) -> i64 {
    let limit = call.engine.config.tuning.stream_nodes.entries.wrapping_mul(100).cast_signed();
    if limit <= 0 { 10_000 } else { limit.min(1_000_000) }
}
