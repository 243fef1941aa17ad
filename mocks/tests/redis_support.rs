//! The list of supported commands says what the engine has, no more and no less.

use std::collections::BTreeSet;

use squall_mocks::redis::engine;

const SUPPORT: &str = include_str!("../SUPPORT.md");

/// The names in the first column of the tables of the section on Redis.
fn documented() -> BTreeSet<String> {
    let section = SUPPORT.split("\n## ").find(|section| section.starts_with("Redis\n")).unwrap_or_default();
    let names = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    names.map(|(name, _)| name.to_owned()).collect()
}

/// Commands that can be run; a command that only holds subcommands cannot.
fn implemented() -> BTreeSet<String> {
    let all = engine::commands().iter();
    let runnable = |spec: &engine::Spec| spec.children().is_empty() || spec.name == "command";
    let names = all.flat_map(|spec| {
        let own = runnable(spec).then(|| spec.name.to_owned());
        own.into_iter().chain(spec.children().iter().map(|child| child.name.replace('|', " ")))
    });
    names.collect()
}

#[test]
fn the_list_of_redis_commands_is_the_engines() {
    assert_eq!(documented(), implemented());
    assert!(documented().len() > 90, "the section on Redis was found");
}
