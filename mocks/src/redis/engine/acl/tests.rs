//! Rules of users: what they say comes back, none panics, and each permits what it should.

use proptest::prelude::*;

use super::commands::Commands;
use super::*;
use crate::redis::engine::table;

fn words(line: &str) -> Vec<Bytes> {
    line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect()
}

fn user(rules: &[&str]) -> User {
    let mut user = User::new(false);
    for rule in rules {
        user.apply(rule.as_bytes(), false).expect(rule);
    }
    user
}

fn check(user: &User, line: &str) -> Result<(), Denied> {
    let mut acl = Acl::new();
    acl.users.insert(Bytes::from_static(b"u"), user.clone());
    acl.refresh();
    let args = words(line);
    acl.check(&Bytes::from_static(b"u"), table::resolve(&args).expect(line), &args)
}

#[test]
fn one_selector_must_allow_the_whole_command_line() {
    let user = user(&["on", "+get", "~a*", "(+set ~b*)"]);
    assert_eq!(check(&user, "get a1"), Ok(()));
    assert_eq!(check(&user, "set b1 x"), Ok(()));
    assert_eq!(check(&user, "get b1"), Err(Denied::Key(1)));
    assert_eq!(check(&user, "set a1 x"), Err(Denied::Key(1)));
    assert_eq!(check(&user, "del a1"), Err(Denied::Command));
}

#[test]
fn a_line_too_short_to_be_run_can_be_asked_about() {
    let user = user(&["on", "+get", "+publish", "+sort", "+migrate"]);
    for line in ["get", "publish", "sort", "migrate"] {
        assert_eq!(check(&user, line), Ok(()), "{line}");
    }
}

#[test]
fn reading_and_writing_are_allowed_apart() {
    let user = user(&["+@all", "%R~r*", "%W~w*"]);
    assert_eq!(check(&user, "get r1"), Ok(()));
    assert_eq!(check(&user, "set w1 x"), Ok(()));
    assert_eq!(check(&user, "set w1 x get"), Err(Denied::Key(1)));
    assert_eq!(check(&user, "copy r1 w1"), Ok(()));
    assert_eq!(check(&user, "copy w1 r1"), Err(Denied::Key(1)));
}

#[test]
fn a_subcommand_is_allowed_without_its_siblings() {
    let user = user(&["+config|get", "-config|get", "+config", "-config|set"]);
    assert_eq!(check(&user, "config get x"), Ok(()));
    assert_eq!(check(&user, "config set x y"), Err(Denied::Command));
}

fn rule() -> impl Strategy<Value = String> {
    let names: Vec<&'static str> = Commands::get().rows.iter().map(|row| row.spec.name).collect();
    let categories = acl_categories();
    prop_oneof![
        (any::<bool>(), prop::sample::select(names))
            .prop_map(|(on, name)| format!("{}{name}", if on { '+' } else { '-' })),
        (any::<bool>(), prop::sample::select(categories))
            .prop_map(|(on, name)| format!("{}@{name}", if on { '+' } else { '-' })),
    ]
}

fn acl_categories() -> Vec<&'static str> {
    CATEGORIES.into_iter().chain(["all"]).collect()
}

proptest! {
    #[test]
    fn the_rules_a_user_is_described_by_make_the_same_user(rules in prop::collection::vec(rule(), 0..12)) {
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        let made = user(&rules);
        let described = String::from_utf8(made.describe()).expect("text");
        let again = user(&described.split(' ').collect::<Vec<_>>());
        prop_assert_eq!(&again.root.commands, &made.root.commands);
        prop_assert_eq!(again.describe(), made.describe());
    }

    #[test]
    fn no_rule_makes_the_server_panic(rule in prop::collection::vec(any::<u8>(), 0..24)) {
        let mut user = User::new(false);
        let before = user.clone();
        if user.apply(&rule, false).is_err() {
            prop_assert_eq!(user, before);
        }
    }
}

#[test]
fn a_user_who_may_hear_less_loses_what_it_listens_to() {
    let before = user(&["+@all", "&news:*", "&jobs"]);
    assert_eq!(channels_left(&before, &user(&["&news:*", "&jobs", "&more"])), None);
    assert_eq!(channels_left(&before, &user(&["allchannels"])), None);
    assert_eq!(channels_left(&before, &user(&["&jobs"])), Some(vec![Bytes::from_static(b"jobs")]));
    assert!(is_allowed_channel(&[Bytes::from_static(b"news:*")], b"news:1", false));
    assert!(!is_allowed_channel(&[Bytes::from_static(b"news:*")], b"news:1*", true));
}
