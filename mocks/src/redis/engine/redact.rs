//! Secrets in command lines, which no log may show: what Redis 7.0 hides from `SLOWLOG` and `MONITOR`.
//!
//! Like the real server this looks at what a command would read as a secret: a command line that is refused before
//! its password is read is shown as it is.

use std::borrow::Cow;

use bytes::Bytes;

use super::call::is;
use super::number::strict_i64;

/// What stands for a secret.
const REDACTED: Bytes = Bytes::from_static(b"(redacted)");

/// A command line with its secrets covered: passwords, users and their rules. `command` is its name as the command
/// table has it.
pub(crate) fn redacted<'a>(command: &str, args: &'a [Bytes]) -> Cow<'a, [Bytes]> {
    let hidden: Vec<usize> = match command {
        "auth" if args.len() <= 3 => (1..args.len()).collect(),
        "acl|setuser" => (2..args.len()).collect(),
        "hello" => in_hello(args),
        "migrate" => in_migrate(args),
        "config|set" if args.len().is_multiple_of(2) => {
            (2..args.len()).step_by(2).filter(|at| is_secret_parameter(&args[*at])).map(|at| at + 1).collect()
        }
        _ => Vec::new(),
    };
    if hidden.is_empty() {
        return Cow::Borrowed(args);
    }
    let mut shown = args.to_vec();
    for at in hidden {
        shown[at] = REDACTED;
    }
    Cow::Owned(shown)
}

fn is_secret_parameter(name: &[u8]) -> bool {
    ["masterauth", "requirepass", "masteruser"].iter().any(|secret| is(name, secret))
}

/// `HELLO version [AUTH user password] [SETNAME name]`, read as far as it is right.
fn in_hello(args: &[Bytes]) -> Vec<usize> {
    let mut hidden = Vec::new();
    let is_version =
        args.get(1).and_then(|version| strict_i64(version)).is_some_and(|it| (2..=3).contains(&it));
    let mut at = if is_version { 2 } else { args.len() };
    while at < args.len() {
        if is(&args[at], "auth") && at + 2 < args.len() {
            hidden.extend([at + 1, at + 2]);
            at += 3;
        } else if is(&args[at], "setname") {
            at += 2;
        } else {
            break;
        }
    }
    hidden
}

/// `MIGRATE host port key db timeout` and its options, read as far as they are right.
fn in_migrate(args: &[Bytes]) -> Vec<usize> {
    let mut hidden = Vec::new();
    let mut at = 6;
    while at < args.len() {
        let secrets = match &args[at] {
            word if is(word, "copy") || is(word, "replace") => 0,
            word if is(word, "auth") => 1,
            word if is(word, "auth2") => 2,
            _ => break,
        };
        if at + secrets >= args.len() {
            break;
        }
        hidden.extend(at + 1..=at + secrets);
        at += secrets + 1;
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_real_server_reads_as_a_secret_is_hidden_and_nothing_else() {
        for (command, line, shown) in [
            ("auth", "AUTH s", "AUTH *"),
            ("auth", "AUTH u s", "AUTH * *"),
            ("auth", "AUTH a b c", "AUTH a b c"),
            ("hello", "HELLO 3 AUTH u s SETNAME x", "HELLO 3 AUTH * * SETNAME x"),
            ("hello", "HELLO 3 SETNAME auth AUTH u s", "HELLO 3 SETNAME auth AUTH * *"),
            ("hello", "HELLO 2 AUTH u", "HELLO 2 AUTH u"),
            ("hello", "HELLO 9 AUTH u s", "HELLO 9 AUTH u s"),
            (
                "migrate",
                "MIGRATE h 1 k 0 5 COPY AUTH2 u s REPLACE",
                "MIGRATE h 1 k 0 5 COPY AUTH2 * * REPLACE",
            ),
            ("migrate", "MIGRATE h 1 k 0 5 AUTH s KEYS auth k", "MIGRATE h 1 k 0 5 AUTH * KEYS auth k"),
            ("migrate", "MIGRATE auth 1 k 0 5 NOPE AUTH s", "MIGRATE auth 1 k 0 5 NOPE AUTH s"),
            ("migrate", "MIGRATE h 1 k 0 5 AUTH2 u", "MIGRATE h 1 k 0 5 AUTH2 u"),
            ("acl|setuser", "ACL SETUSER bob on >s", "ACL SETUSER * * *"),
            ("acl|getuser", "ACL GETUSER bob", "ACL GETUSER bob"),
            ("config|set", "CONFIG SET timeout 0 masterauth s", "CONFIG SET timeout 0 masterauth *"),
            ("config|set", "CONFIG SET masteruser u requirepass", "CONFIG SET masteruser u requirepass"),
            ("set", "SET auth s", "SET auth s"),
        ] {
            let args: Vec<Bytes> =
                line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
            let words = redacted(command, &args)
                .iter()
                .map(|word| if *word == REDACTED { &b"*"[..] } else { word })
                .collect::<Vec<_>>()
                .join(&b' ');
            assert_eq!(String::from_utf8_lossy(&words), shown);
        }
    }
}
