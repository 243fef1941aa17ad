//! Commands that choose by chance: the choices of two servers differ, but what they are chosen from does not.

use crate::random::agree;
use crate::wire::{Pair, Resp};

/// Whether a command is one of them.
pub fn is_one(command: &[Vec<u8>]) -> bool {
    ["srandmember", "spop", "hrandfield", "zrandmember"].iter().any(|name| command[0] == name.as_bytes())
}

/// Checks that the mock answers as many as the real server, each one of the elements, none twice unless asked
/// for; and that as many are left.
pub fn agrees(pair: &mut Pair<'_>, command: &[Vec<u8>]) -> Result<(), String> {
    let on_key = |words: &[&str]| -> Vec<Vec<u8>> {
        let key = command[1].as_slice();
        words.iter().map(|word| if *word == "K" { key.to_vec() } else { word.as_bytes().to_vec() }).collect()
    };
    let all: &[&str] = match command[0][0] {
        b's' => &["smembers", "K"],
        b'h' => &["hgetall", "K"],
        _ => &["zrange", "K", "0", "-1", "withscores"],
    };
    let (_, elements) = pair.ask(&on_key(all))?;
    let (real, mock) = pair.ask(command)?;
    let (known, drawn) = (texts(&elements), texts(&mock));
    let may_repeat = command.get(2).is_some_and(|count| count.starts_with(b"-")) || command.len() > 3;
    let repeats = drawn.iter().enumerate().any(|(at, one)| drawn[..at].contains(one));
    let is_right = drawn.iter().all(|one| known.contains(one)) && (may_repeat || !repeats);
    if !pair.same(command, &real, &mock) || !is_right {
        return Err(format!("real {real:?}\nmock {mock:?}\nof {elements:?}"));
    }
    if command[0] == b"spop" {
        // The servers may hold different members now.
        agree(pair, &on_key(&["scard", "K"]))?;
        agree(pair, &on_key(&["del", "K"]))?;
    }
    Ok(())
}

/// The strings in a reply, in order.
fn texts(reply: &Resp) -> Vec<String> {
    match reply {
        Resp::List(_, items) => items.iter().flat_map(texts).collect(),
        Resp::Bulk(text) | Resp::Other(text) => vec![text.clone()],
        _ => Vec::new(),
    }
}
