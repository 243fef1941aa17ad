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
    }
    if differences.is_empty() { Ok(()) } else { Err(format!("\n{}", differences.join("\n"))) }
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
