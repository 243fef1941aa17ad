//! What these tests share: a vocabulary, a scenario without mistakes, and loading from a folder that goes
//! away.

use std::path::Path;

use squall::scenario::{Diagnostics, LoadOptions, Loaded, Record, Scenario, Vocabulary};

/// A scenario without mistakes or warnings that uses most of the format.
pub const VALID: &str = include_str!("testdata/valid.toml");

pub fn options() -> LoadOptions {
    let vocabulary = Vocabulary::new()
        .service_kinds(["squall.kafka", "squall.redis", "squall.processor", "squall.sink"])
        .checker("idempotent", &["key"], &["effect"])
        .checker("no-acked-loss", &[], &[])
        .checker("no-phantom", &[], &[])
        .checker("drained", &[], &[])
        .points(["processor.before-effect", "processor.after-effect", "dedup.suppressed"])
        .metrics(["consumer.lag"]);
    LoadOptions { overrides: Vec::new(), vocabulary }
}

/// Writes files into a new folder and loads the first.
pub fn load_files(files: &[(&str, &str)], options: &LoadOptions) -> Result<Loaded, Diagnostics> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    Scenario::load(&folder.path().join(files[0].0), options)
}

pub fn load(text: &str) -> Result<Loaded, Diagnostics> {
    load_files(&[("test.toml", text)], &options())
}

/// The mistakes of a scenario that must have some.
pub fn mistakes(text: &str) -> Vec<Record> {
    match load(text) {
        Ok(_) => panic!("this loaded:\n{text}"),
        Err(diagnostics) => diagnostics.records(),
    }
}

/// The valid scenario with one piece of text replaced.
pub fn changed(from: &str, to: &str) -> String {
    assert!(VALID.contains(from), "the valid scenario has no {from:?}");
    VALID.replacen(from, to, 1)
}
