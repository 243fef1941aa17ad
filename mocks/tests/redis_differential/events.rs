//! What a subscriber hears of random commands: the same events of both servers, in the same order.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::choice;
use crate::conversation::Conversation;
use crate::random::{KEYS, agree, command};
use crate::templates::Template;
use crate::wire::{Servers, words};

/// Where the servers may find an expired key sooner or later, by chance or by their order of keys; and what may
/// end the listener of one of them only, as numbers of connections differ.
const BY_CHANCE: [&str; 3] = ["client kill", "randomkey", "scan"];
/// What would turn the events off, or on in part: a refused change does so in the real server.
const CHOOSES: &str = "notify-keyspace-events";

/// Runs random sequences on both servers, with every class of events on.
pub fn run(servers: &Servers, templates: &'static [Template]) -> Result<(), String> {
    let certain = |template: &&Template| {
        !template.contains(CHOOSES) && !BY_CHANCE.iter().any(|name| template.starts_with(name))
    };
    let templates: Vec<Template> = templates.iter().filter(certain).copied().collect();
    let one = proptest::sample::select(templates).prop_flat_map(|template| command(template, KEYS));
    let sequences = prop::collection::vec(one, 1..40);
    let config = Config { cases: 30, failure_persistence: None, max_shrink_iters: 500, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, rng).run(&sequences, |sequence| {
        let failed = |why: String| TestCaseError::fail(why);
        let mut pair = servers.pair(2).map_err(failed)?;
        agree(&mut pair, &words("config set notify-keyspace-events AKEmn")).map_err(failed)?;
        let mut listener = Conversation::new(servers, 2);
        listener.speak("@l psubscribe __key*__:*").map_err(failed)?;
        for command in &sequence {
            let chosen = choice::is_one(command);
            let step = if chosen { choice::agrees(&mut pair, command) } else { agree(&mut pair, command) };
            step.map_err(failed)?;
        }
        let (real, mock) = listener.speak("@l.").map_err(failed)?;
        if real == mock { Ok(()) } else { Err(failed(format!("real {real:?}\nmock {mock:?}"))) }
    });
    outcome.map_err(|error| match error {
        proptest::test_runner::TestError::Fail(why, sequence) => {
            let show = |command: &Vec<Vec<u8>>| {
                let words = command.iter().map(|word| format!("{:?}", String::from_utf8_lossy(word)));
                format!("  {}", words.collect::<Vec<_>>().join(" "))
            };
            format!("{why}\nafter\n{}", sequence.iter().map(show).collect::<Vec<_>>().join("\n"))
        }
        other => other.to_string(),
    })
}
