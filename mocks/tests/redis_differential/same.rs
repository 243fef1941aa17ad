//! When two replies are the same: without the orders, times and choices that Redis does not promise.

use crate::wire::{Resp, latin1};

/// Whether two replies to a command say the same.
pub fn same(command: &[Vec<u8>], real: &Resp, mock: &Resp, spread_ms: i64) -> bool {
    let word = |at: usize| command.get(at).map(|word| latin1(word).to_ascii_lowercase()).unwrap_or_default();
    let name = word(0);
    match name.as_str() {
        "expiretime" | "pexpiretime" if is_given(real) || is_given(mock) => real == mock,
        "ttl" | "expiretime" => near(real, mock, 1 + spread_ms.div_euclid(1000)),
        // The deadline was set that far apart, and is read that far apart.
        "pttl" => near(real, mock, 2 * spread_ms + 1),
        "pexpiretime" => near(real, mock, spread_ms + 1),
        // Redis counts idle time with a clock of whole seconds.
        "object" if word(1) == "idletime" => match (real, mock) {
            (Resp::Int(real), Resp::Int(mock)) => (real - mock).abs() <= 2,
            _ => real == mock,
        },
        "httl" | "hpttl" | "hexpiretime" | "hpexpiretime" => {
            let (real, mock) = (items(real), items(mock));
            let name = name
                .replace("httl", "ttl")
                .replace("hpttl", "pttl")
                .replace("hexp", "exp")
                .replace("hpexp", "pexp");
            let alone = [vec![name.into_bytes()], command[1..].to_vec()].concat();
            real.len() == mock.len()
                && real.iter().zip(mock).all(|(real, mock)| same(&alone, real, mock, spread_ms))
        }
        _ => comparable(command, real) == comparable(command, mock),
    }
}

/// The items of a list; another reply is its only item.
fn items(reply: &Resp) -> &[Resp] {
    if let Resp::List(_, items) = reply { items } else { std::slice::from_ref(reply) }
}

/// A reply without what differs from server to server, or is drawn by chance.
pub fn comparable(command: &[Vec<u8>], reply: &Resp) -> Resp {
    let word = |at: usize| command.get(at).map(|word| latin1(word).to_ascii_lowercase()).unwrap_or_default();
    let is_list = matches!(reply, Resp::List(..));
    match word(0).as_str() {
        "time" | "info" | "randomkey" | "hello" | "lastsave" => kind(reply),
        "client" if matches!(word(1).as_str(), "id" | "list" | "info") => kind(reply),
        "acl" if word(1) == "cat" && is_list => kind(reply),
        // The real server tells the commands of a rule in the order of its hash table.
        "acl" if matches!(word(1).as_str(), "getuser" | "list") => any_order(reply),
        "cluster" => without_nodes(reply),
        "function" if word(1) == "list" => sorted(reply),
        "pubsub" if word(1).ends_with("channels") => sorted(reply),
        "keys" | "hkeys" | "hvals" | "hgetall" | "scan" | "hscan" | "config" | "smembers" | "sinter"
        | "sunion" | "sdiff" | "sscan" | "zscan" => sorted(reply),
        "xinfo" | "xpending" => without_times(reply),
        "hrandfield" | "srandmember" | "spop" | "zrandmember" => shape(reply),
        _ => reply.clone(),
    }
}

/// A reply without what names a node and says when it was heard of: ids, ports, times.
fn without_nodes(reply: &Resp) -> Resp {
    let is_id = |word: &str| word.len() == 40 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_address = |word: &str| word.contains(':') && word.contains('@');
    match reply {
        Resp::Int(port) if *port > 16_383 => Resp::Other("a port".to_owned()),
        Resp::List(mark, items) => Resp::List(*mark, items.iter().map(without_nodes).collect()),
        Resp::Bulk(text) => {
            let masked = |(at, word): (usize, &str)| match word.trim_start_matches("txt:") {
                id if is_id(id) => "id".to_owned(),
                address if is_address(address) => "address".to_owned(),
                // In a line of `CLUSTER NODES`, when it was asked and when it answered.
                _ if text.contains(" myself,") && matches!(at, 4 | 5) => "time".to_owned(),
                other => other.to_owned(),
            };
            Resp::Bulk(text.split(' ').enumerate().map(masked).collect::<Vec<_>>().join(" "))
        }
        other => other.clone(),
    }
}

/// What kind of reply it is.
fn kind(reply: &Resp) -> Resp {
    Resp::Other(format!("{:?}", std::mem::discriminant(reply)))
}

/// Whether a deadline is one that templates draw, which has nothing to do with the time it was set at.
fn is_given(reply: &Resp) -> bool {
    matches!(reply, Resp::Int(deadline) if *deadline > 0 && deadline % 4_102_444_800 == 0)
}

fn near(real: &Resp, mock: &Resp, tolerance: i64) -> bool {
    match (real, mock) {
        (Resp::Int(real), Resp::Int(mock)) if *real > 0 && *mock > 0 => (real - mock).abs() <= tolerance,
        _ => real == mock,
    }
}

/// The same reply with the order of its elements lost; keys stay with their values.
fn sorted(reply: &Resp) -> Resp {
    let Resp::List(mark, items) = reply else { return reply.clone() };
    let mut items: Vec<Resp> = items.iter().map(sorted).collect();
    items.sort_by(|left, right| left.partial_cmp(right).unwrap_or(std::cmp::Ordering::Equal));
    Resp::List(*mark, items)
}

/// The same reply without times of delivery, which are Unix milliseconds or what follows a consumer.
fn without_times(reply: &Resp) -> Resp {
    const YEAR_2001: i64 = 1_000_000_000_000;
    match reply {
        Resp::Int(YEAR_2001..) => Resp::Int(YEAR_2001),
        Resp::List(mark, items) => {
            let mut items: Vec<Resp> = items.iter().map(without_times).collect();
            let idle = match items.as_slice() {
                [Resp::Bulk(_), Resp::Bulk(_), Resp::Int(_), Resp::Int(_)] => Some(2),
                _ => items.iter().position(|item| *item == Resp::Bulk("idle".to_owned())).map(|at| at + 1),
            };
            idle.and_then(|at| items.get_mut(at)).into_iter().for_each(|idle| *idle = Resp::Int(0));
            Resp::List(*mark, items)
        }
        other => other.clone(),
    }
}

/// The same reply with the words of its strings sorted.
fn any_order(reply: &Resp) -> Resp {
    match reply {
        Resp::List(mark, items) => Resp::List(*mark, items.iter().map(any_order).collect()),
        Resp::Bulk(text) => {
            let mut words: Vec<&str> = text.split(' ').collect();
            words.sort_unstable();
            Resp::Bulk(words.join(" "))
        }
        other => other.clone(),
    }
}

/// Kinds and lengths only.
fn shape(reply: &Resp) -> Resp {
    match reply {
        Resp::List(mark, items) => Resp::List(*mark, items.iter().map(shape).collect()),
        Resp::Bulk(_) => Resp::Bulk(String::new()),
        Resp::Other(text) => Resp::Other(text.chars().take(1).collect()),
        other => other.clone(),
    }
}
