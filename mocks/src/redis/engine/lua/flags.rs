//! What scripts and functions declare about themselves, and the first line in which they do.

use bytes::Bytes;

use crate::redis::engine::error::CmdError;
use crate::redis::resp::split_words;

/// Declared flags, or the lack of any declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(u8);

/// The flags' names in the order in which the server lists them.
const NAMES: [(u8, &str); 5] = [
    (Flags::NO_WRITES.0, "no-writes"),
    (Flags::ALLOW_OOM.0, "allow-oom"),
    (1 << 2, "allow-stale"),
    (Flags::NO_CLUSTER.0, "no-cluster"),
    (Flags::CROSS_SLOT.0, "allow-cross-slot-keys"),
];

impl Flags {
    pub(super) const NO_WRITES: Self = Self(1);
    pub(super) const ALLOW_OOM: Self = Self(1 << 1);
    pub(super) const NO_CLUSTER: Self = Self(1 << 3);
    pub(super) const CROSS_SLOT: Self = Self(1 << 5);
    /// A script without a first line that declares something: it may do what scripts could before 7.0.
    pub(super) const UNDECLARED: Self = Self(1 << 4);
    pub(super) const NONE: Self = Self(0);

    pub(super) fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    /// The names of the flags that are set.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().filter(move |(bit, _)| self.0 & bit != 0).map(|(_, name)| *name)
    }

    /// With the flag of this name; `None` if there is no such flag.
    pub(super) fn with(self, name: &[u8], ignore_case: bool) -> Option<Self> {
        let is_named = |known: &str| match ignore_case {
            true => known.as_bytes().eq_ignore_ascii_case(name),
            false => known.as_bytes() == name,
        };
        let (bit, _) = NAMES.iter().find(|(_, known)| is_named(known))?;
        Some(Self(self.0 | bit))
    }
}

/// Reads `#!lua flags=…` off a script's first line, which stays as an empty line, so that line numbers do.
pub(super) fn read_script(body: &Bytes) -> Result<(Flags, Bytes), CmdError> {
    if !body.starts_with(b"#!") {
        return Ok((Flags::UNDECLARED, body.clone()));
    }
    let (words, code) = first_line(body).ok_or(CmdError::fixed("ERR Invalid script shebang"))?;
    let words = words.filter(|words| !words.is_empty());
    let words = words.ok_or(CmdError::fixed("ERR Invalid engine in script shebang"))?;
    let refused = |why: &str, what: &[u8]| CmdError::new(format!("ERR {why}: {}", text(what)));
    if words[0] != "#!lua" {
        return Err(refused("Unexpected engine in script shebang", &words[0]));
    }
    let mut flags = Flags::NONE;
    for word in &words[1..] {
        let Some(list) = word.strip_prefix(b"flags=") else {
            return Err(refused("Unknown lua shebang option", word));
        };
        for name in list.split(|byte| *byte == b',').filter(|_| !list.is_empty()) {
            let with = flags.with(name, false);
            flags = with.ok_or_else(|| refused("Unexpected flag in script shebang", name))?;
        }
    }
    Ok((flags, code))
}

/// Reads `#!<engine> name=<library>` off a library's first line: engine, name and code.
pub(super) fn read_library(body: &Bytes) -> Result<(Bytes, Bytes, Bytes), CmdError> {
    if !body.starts_with(b"#!") {
        return Err(CmdError::fixed("ERR Missing library metadata"));
    }
    let invalid = CmdError::fixed("ERR Invalid library metadata");
    let (words, code) = first_line(body).ok_or(invalid.clone())?;
    let words = words.filter(|words| !words.is_empty()).ok_or(invalid)?;
    let mut name: Option<Bytes> = None;
    for word in &words[1..] {
        let given = word.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"name="));
        if !given {
            return Err(CmdError::new(format!("ERR Invalid metadata value given: {}", text(word))));
        }
        if name.replace(word.slice(5..)).is_some() {
            let text = "ERR Invalid metadata value, name argument was given multiple times";
            return Err(CmdError::fixed(text));
        }
    }
    let name = name.ok_or(CmdError::fixed("ERR Library name was not given"))?;
    Ok((words[0].slice(2..), name, code))
}

/// The words of the first line, unless a quote in it is not closed, and the rest. `None` if no line ends.
fn first_line(body: &Bytes) -> Option<(Option<Vec<Bytes>>, Bytes)> {
    // As in C, nothing is found behind a zero byte.
    let end = body.iter().take_while(|byte| **byte != 0).position(|byte| *byte == b'\n')?;
    Some((split_words(&body[..end]), body.slice(end..)))
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
