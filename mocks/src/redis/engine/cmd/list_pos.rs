//! `LPOS`: where in a list an element is.

use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;
use crate::redis::store::List;

/// What `LPOS` can be told; no count means one answer that is no array.
struct Options {
    rank: i64,
    count: Option<usize>,
    most: usize,
}

impl Options {
    fn parse(call: &Call<'_>) -> Result<Self, CmdError> {
        const RANK_ZERO: CmdError = CmdError::fixed(
            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative \
             to start from the end of the list",
        );
        let mut options = Self { rank: 1, count: None, most: 0 };
        for pair in call.rest(3).chunks(2) {
            let [word, value] = pair else { return Err(CmdError::SYNTAX) };
            let size = |wrong: &'static str| {
                let size = strict_i64(value).and_then(|value| usize::try_from(value).ok());
                size.ok_or(CmdError::fixed(wrong))
            };
            if is(word, "rank") {
                options.rank = strict_i64(value).ok_or(CmdError::NOT_INTEGER)?;
                if options.rank == 0 {
                    return Err(RANK_ZERO);
                }
            } else if is(word, "count") {
                options.count = Some(size("ERR COUNT can't be negative")?);
            } else if is(word, "maxlen") {
                options.most = size("ERR MAXLEN can't be negative")?;
            } else {
                return Err(CmdError::SYNTAX);
            }
        }
        Ok(options)
    }
}

pub(crate) fn lpos(call: &mut Call<'_>) -> Outcome {
    let options = Options::parse(call)?;
    let element = &call.args[2];
    let Some(list) = call.read_as::<List>(&call.args[1])? else {
        return Ok(if options.count.is_some() { Reply::Array(Vec::new()) } else { Reply::Null });
    };
    let positions: Box<dyn Iterator<Item = usize>> =
        if options.rank > 0 { Box::new(0..list.len()) } else { Box::new((0..list.len()).rev()) };
    let all = |limit: usize| if limit == 0 { usize::MAX } else { limit };
    // The least rank overflows when 7.0.15 negates it, and then skips nothing.
    let rank = options.rank.checked_abs().unwrap_or(1);
    let skipped = usize::try_from(rank - 1).unwrap_or(usize::MAX);
    let mut found =
        positions.take(all(options.most)).filter(|at| list.at(*at) == Some(element)).skip(skipped);
    Ok(match options.count {
        None => found.next().map_or(Reply::Null, Reply::count),
        Some(count) => Reply::Array(found.take(all(count)).map(Reply::count).collect()),
    })
}
