//! The flags of commands, in the order in which `COMMAND INFO` lists them.

macro_rules! flags {
    ($($name:ident $text:literal $bit:literal),* $(,)?) => {
        $(#[doc = concat!("`", $text, "`")] pub(crate) const $name: u32 = 1 << $bit;)*
        /// Every flag and its name.
        pub(crate) const NAMES: &[(u32, &str)] = &[$(($name, $text)),*];
    };
}

/// No flag.
pub(crate) const NONE: u32 = 0;

/// No write, but replicas may be sent something all the same. `COMMAND INFO` does not list it.
pub(crate) const MAY_REPLICATE: u32 = 1 << 19;

flags! {
    WRITE "write" 0,
    READONLY "readonly" 1,
    DENYOOM "denyoom" 2,
    ADMIN "admin" 3,
    PUBSUB "pubsub" 14,
    NOSCRIPT "noscript" 4,
    BLOCKING "blocking" 15,
    LOADING "loading" 5,
    STALE "stale" 6,
    SKIP_MONITOR "skip_monitor" 7,
    SKIP_SLOWLOG "skip_slowlog" 8,
    ASKING "asking" 16,
    FAST "fast" 9,
    NO_AUTH "no_auth" 10,
    NO_MANDATORY_KEYS "no_mandatory_keys" 11,
    NO_ASYNC_LOADING "no_async_loading" 17,
    NO_MULTI "no_multi" 18,
    MOVABLEKEYS "movablekeys" 12,
    ALLOW_BUSY "allow_busy" 13,
}
