//! Secrets in command lines, which no log may show.

use std::borrow::Cow;

use bytes::Bytes;

use super::call::is;
use super::table::Spec;

/// What stands for a secret.
const REDACTED: Bytes = Bytes::from_static(b"(redacted)");

/// A command line with its secrets covered: passwords, users and their rules.
pub(crate) fn redacted<'a>(spec: &Spec, args: &'a [Bytes]) -> Cow<'a, [Bytes]> {
    let hidden: Vec<usize> = match spec.name {
        "auth" => (1..args.len()).collect(),
        "acl|setuser" | "acl|deluser" | "acl|getuser" => (2..args.len()).collect(),
        "hello" => after(args, "auth", 2),
        "migrate" => after(args, "auth", 1).into_iter().chain(after(args, "auth2", 2)).collect(),
        "config|set" => {
            let names =
                ["masterauth", "requirepass", "masteruser", "tls-key-file-pass", "tls-client-key-file-pass"];
            let is_secret = |at: &usize| names.iter().any(|name| is(&args[*at], name));
            (2..args.len()).step_by(2).filter(is_secret).map(|at| at + 1).collect()
        }
        _ => return Cow::Borrowed(args),
    };
    let mut shown = args.to_vec();
    for at in hidden {
        if let Some(argument) = shown.get_mut(at) {
            *argument = REDACTED;
        }
    }
    Cow::Owned(shown)
}

/// The positions of `count` arguments after a word.
fn after(args: &[Bytes], word: &str, count: usize) -> Vec<usize> {
    let at = args.iter().skip(1).position(|argument| is(argument, word)).map(|at| at + 2);
    at.map_or_else(Vec::new, |at| (at..at + count).collect())
}
