//! RESP, the Redis protocol: what a request looks like on the wire ([`Parser`]) and what a reply is
//! ([`Reply`]) and looks like in versions 2 and 3.
//!
//! Invariant: whatever bytes arrive, parsing ends in commands, in a wish for more bytes, or in the error text
//! of a real server. Nothing here knows a command.

mod encode;
mod parse;

use std::borrow::Cow;

use bytes::Bytes;

pub(crate) use parse::split_words;
pub use parse::{Limits, Parser, ProtocolError};

/// A reply, before it is written in the client's version of the protocol.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A status line: `+OK`.
    Status(Cow<'static, str>),
    /// An error line without the leading `-`: `ERR syntax error`.
    Error(String),
    /// An integer.
    Int(i64),
    /// A string of bytes.
    Bulk(Bytes),
    /// No value: the null bulk string in RESP2.
    Null,
    /// No array: the null array in RESP2.
    NullArray,
    /// An array.
    Array(Vec<Reply>),
    /// Keys and values; an array of both in RESP2.
    Map(Vec<(Reply, Reply)>),
    /// A set; an array in RESP2.
    Set(Vec<Reply>),
    /// A number with a fraction; a string in RESP2.
    Double(f64),
    /// A number with a fraction, already written; a string in RESP2.
    Decimal(Bytes),
    /// A truth value; 1 or 0 in RESP2.
    Bool(bool),
    /// An integer of any length; a string in RESP2.
    BigNumber(Bytes),
    /// A text and its three-letter format; a string in RESP2.
    Verbatim(Bytes, Bytes),
    /// Sent out of turn: a message, an invalidation; an array in RESP2.
    Push(Vec<Reply>),
    /// Facts about the reply that follows; left out in RESP2.
    Attributes(Vec<(Reply, Reply)>),
    /// Replies one after the other, without a frame around them: a command that answers several times.
    Several(Vec<Reply>),
    /// Nothing is sent, or not yet.
    None,
}

impl Reply {
    /// `+OK`.
    pub const OK: Self = Self::Status(Cow::Borrowed("OK"));

    /// A string.
    pub fn bulk(bytes: impl Into<Bytes>) -> Self {
        Self::Bulk(bytes.into())
    }

    /// A string, or no value.
    #[must_use]
    pub fn bulk_or_null(bytes: Option<Bytes>) -> Self {
        bytes.map_or(Self::Null, Self::Bulk)
    }

    /// An array of strings.
    pub fn bulks<T: Into<Bytes>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::Array(items.into_iter().map(Self::bulk).collect())
    }

    /// A count.
    #[must_use]
    pub fn count(count: usize) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// 1 or 0, as Redis answers yes or no in both versions.
    #[must_use]
    pub fn flag(yes: bool) -> Self {
        Self::Int(i64::from(yes))
    }

    /// One word for what kind of reply this is, for traces; of an error, its first word.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Status(text) => text,
            Self::Error(line) => line.split(' ').next().unwrap_or("ERR"),
            Self::Int(_) => "int",
            Self::Bulk(_) | Self::Verbatim(..) => "bulk",
            Self::Null | Self::NullArray => "nil",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Set(_) => "set",
            Self::Double(_) | Self::Decimal(_) => "double",
            Self::Bool(_) => "bool",
            Self::BigNumber(_) => "number",
            Self::Push(_) => "push",
            Self::Attributes(_) => "attributes",
            Self::Several(_) => "several",
            Self::None => "nothing",
        }
    }
}
