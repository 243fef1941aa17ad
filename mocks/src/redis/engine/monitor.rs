//! `MONITOR`: every command that runs, told to whoever watches, as `replicationFeedMonitors` of Redis 7.0 does.
//!
//! Commands for administrators are not shown, and passwords are not shown.

use bytes::Bytes;
use indexmap::IndexSet;

use super::Engine;
use super::client::ClientId;
use super::redact::redacted;
use super::table::Spec;
use super::table::flags::{ADMIN, SKIP_MONITOR};
use crate::redis::resp::Reply;
use crate::redis::store::FixedState;

/// Who watches, in the order in which they began to.
pub(crate) type Monitors = IndexSet<ClientId, FixedState>;

impl Engine {
    /// Tells those who watch that a client runs a script, before what it calls.
    pub(super) fn show_script(&mut self, id: ClientId, spec: &Spec, args: &[Bytes]) {
        const SCRIPTS: [&str; 6] = ["eval", "eval_ro", "evalsha", "evalsha_ro", "fcall", "fcall_ro"];
        if !self.monitors.is_empty() && SCRIPTS.contains(&spec.name) {
            self.show(id, spec, args);
        }
    }

    /// Tells those who watch that a client ran a command, unless it is not to be shown.
    pub(super) fn show_call(&mut self, id: ClientId, spec: &Spec, args: &[Bytes]) {
        if !self.monitors.is_empty() && spec.flags & (ADMIN | SKIP_MONITOR) == 0 {
            self.show(id, spec, args);
        }
    }

    /// Tells those who watch that a client ran a command.
    pub(crate) fn show(&mut self, id: ClientId, spec: &Spec, args: &[Bytes]) {
        let Some(client) = self.clients.get(&id).filter(|_| !self.monitors.is_empty()) else { return };
        let us = self.at.unix_us;
        let who = if self.script.is_some() { "lua" } else { client.address.as_str() };
        let mut line =
            format!("{}.{:06} [{} {who}]", us.div_euclid(1_000_000), us.rem_euclid(1_000_000), client.db);
        for argument in redacted(spec, args).iter() {
            line.push(' ');
            quote(argument, &mut line);
        }
        for monitor in self.monitors.clone() {
            self.push_after(monitor, Reply::Status(line.clone().into()));
        }
    }
}

/// A text in quotes, as `sdscatrepr` writes it.
fn quote(text: &[u8], out: &mut String) {
    out.push('"');
    for byte in text {
        match byte {
            b'\\' | b'"' => out.extend(['\\', char::from(*byte)]),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            7 => out.push_str("\\a"),
            8 => out.push_str("\\b"),
            b' '..=b'~' => out.push(char::from(*byte)),
            other => out.push_str(&format!("\\x{other:02x}")),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_printed_is_escaped() {
        let mut out = String::new();
        quote(b"a \"b\"\\\n\r\t\x07\x08\x00\xff~", &mut out);
        assert_eq!(out, r#""a \"b\"\\\n\r\t\a\b\x00\xff~""#);
    }
}
