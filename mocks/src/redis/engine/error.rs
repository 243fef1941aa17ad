//! The error lines of commands, in the real server's words.

use std::borrow::Cow;

use bytes::Bytes;

/// A command failed; the text is the error line without the leading `-`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}")]
pub struct CmdError {
    line: Cow<'static, str>,
    counted: bool,
}

impl CmdError {
    pub(crate) const SYNTAX: Self = Self::fixed("ERR syntax error");
    pub(crate) const NOT_INTEGER: Self = Self::fixed("ERR value is not an integer or out of range");
    pub(crate) const NOT_FLOAT: Self = Self::fixed("ERR value is not a valid float");
    pub(crate) const NO_KEY: Self = Self::fixed("ERR no such key");
    pub(crate) const WRONG_TYPE: Self =
        Self::fixed("WRONGTYPE Operation against a key holding the wrong kind of value");
    pub(crate) const OVERFLOW: Self = Self::fixed("ERR increment or decrement would overflow");
    pub(crate) const INDEX: Self = Self::fixed("ERR DB index is out of range");
    pub(crate) const INVALID_CURSOR: Self = Self::fixed("ERR invalid cursor");
    pub(crate) const NO_AUTH: Self = Self::fixed("NOAUTH Authentication required.");
    pub(crate) const READ_ONLY: Self = Self::fixed("READONLY You can't write against a read only replica.");
    pub(crate) const OUT_OF_MEMORY: Self =
        Self::fixed("OOM command not allowed when used memory > 'maxmemory'.");
    pub(crate) const EXEC_ABORT: Self =
        Self::fixed("EXECABORT Transaction discarded because of previous errors.");
    pub(crate) const NO_SCRIPT: Self = Self::fixed("NOSCRIPT No matching script. Please use EVAL.");
    pub(crate) const SAME_OBJECT: Self = Self::fixed("ERR source and destination objects are the same");

    pub(crate) const fn fixed(text: &'static str) -> Self {
        Self { line: Cow::Borrowed(text), counted: false }
    }

    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { line: Cow::Owned(text.into()), counted: false }
    }

    /// The same error, which is among the counted errors already.
    pub(crate) fn counted(self) -> Self {
        Self { counted: true, ..self }
    }

    /// Whether it was counted when it happened.
    pub(crate) fn was_counted(&self) -> bool {
        self.counted
    }

    pub(crate) fn invalid_expire(command: &str) -> Self {
        Self::new(format!("ERR invalid expire time in '{command}' command"))
    }

    pub(crate) fn wrong_arity(command: &str) -> Self {
        Self::new(format!("ERR wrong number of arguments for '{command}' command"))
    }

    pub(crate) fn unknown_command(args: &[Bytes]) -> Self {
        let name = args.first().map_or(Cow::Borrowed(""), |name| clip(name, 128));
        let mut shown = String::new();
        for argument in args.iter().skip(1) {
            if shown.len() >= 128 {
                break;
            }
            shown.push_str(&format!("'{}' ", clip(argument, 128 - shown.len())));
        }
        Self::new(format!("ERR unknown command '{name}', with args beginning with: {shown}"))
    }

    pub(crate) fn unknown_subcommand(command: &str, sub: &[u8]) -> Self {
        let command = command.to_ascii_uppercase();
        Self::new(format!("ERR unknown subcommand '{}'. Try {command} HELP.", clip(sub, 128)))
    }

    /// The error of a command that takes subcommands, when one of them got too many arguments or odd ones.
    pub(crate) fn wrong_subcommand(args: &[Bytes]) -> Self {
        let command = args.first().map_or(Cow::Borrowed(""), |name| clip(name, 128)).to_ascii_uppercase();
        let sub = args.get(1).map_or(Cow::Borrowed(""), |name| clip(name, 128));
        Self::new(format!(
            "ERR unknown subcommand or wrong number of arguments for '{sub}'. Try {command} HELP."
        ))
    }

    /// The first word, which clients branch on.
    #[must_use]
    pub fn code(&self) -> &str {
        self.line.split(' ').next().unwrap_or("ERR")
    }
}

/// The first bytes as text. Bytes that are not UTF-8 are shown as the replacement character.
fn clip(bytes: &[u8], most: usize) -> Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(most)])
}
