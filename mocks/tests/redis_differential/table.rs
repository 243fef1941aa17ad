//! The command table: every row as the real server reports it.

use squall_mocks::redis::engine;

use crate::wire::{Resp, Servers, words};

/// Compares `COMMAND INFO` and `COMMAND DOCS` of every command the mock has.
pub fn agrees(servers: &Servers) -> Result<(), String> {
    let mut pair = servers.pair(3)?;
    let mut differences = Vec::new();
    for spec in engine::commands() {
        let (real, mock) = pair.ask(&words(&format!("command info {}", spec.name)))?;
        let (real, mock) = (first(real), first(mock));
        if fields(&real, 9) != fields(&mock, 9) {
            differences.push(format!("{}\n    real {real:?}\n    mock {mock:?}", spec.name));
        }
        // The mock may lack subcommands, but what it has must be the same.
        let (real_subs, mock_subs) = (subcommands(&real), subcommands(&mock));
        for sub in mock_subs {
            if !real_subs.iter().any(|real| fields(real, 9) == fields(&sub, 9)) {
                differences.push(format!("{sub:?}"));
            }
        }
        let (real, mock) = pair.ask(&words(&format!("command docs {}", spec.name)))?;
        if in_order(&real) != in_order(&mock) {
            differences.push(format!("docs of {}\n    real {real:?}\n    mock {mock:?}", spec.name));
        }
    }
    if differences.is_empty() { Ok(()) } else { Err(format!("\n{}", differences.join("\n"))) }
}

/// The rows of `COMMAND DOCS`, those of subcommands sorted: the real server tells them in any order.
fn in_order(docs: &Resp) -> Resp {
    let Resp::List(kind, items) = docs else { return docs.clone() };
    let mut items: Vec<Resp> = items.iter().map(in_order).collect();
    for at in 1..items.len() {
        if items[at - 1] == Resp::Bulk("subcommands".to_owned())
            && let Resp::List(_, subs) = &mut items[at]
        {
            let mut pairs: Vec<_> = subs.chunks(2).map(<[Resp]>::to_vec).collect();
            pairs.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
            *subs = pairs.concat();
        }
    }
    Resp::List(*kind, items)
}

fn first(reply: Resp) -> Resp {
    match reply {
        Resp::List(_, mut items) if !items.is_empty() => items.swap_remove(0),
        other => other,
    }
}

fn fields(row: &Resp, count: usize) -> Vec<Resp> {
    match row {
        Resp::List(_, items) => items.iter().take(count).cloned().collect(),
        _ => Vec::new(),
    }
}

fn subcommands(row: &Resp) -> Vec<Resp> {
    match row {
        Resp::List(_, items) => items.get(9).map(|subs| fields(subs, usize::MAX)).unwrap_or_default(),
        _ => Vec::new(),
    }
}
