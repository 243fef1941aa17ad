//! Keeps what reviewers would otherwise have to watch: crate directions, file sizes, openings, links.
//!
//! Each rule names the offending file and what to do. It knows no code beyond its text and `cargo metadata`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// No source file is longer.
const LINES_MAX: usize = 600;

/// Files that may be longer, each with its reason.
const LONGER: &[(&str, &str)] = &[];

/// What each package may depend on within the workspace, outside its own tests.
const DIRECTIONS: &[(&str, &[&str])] = &[
    ("squall-core", &[]),
    ("squall-mocks", &[]),
    ("squall-fixtures", &["squall-mocks"]),
    ("squall", &["squall-core", "squall-mocks", "squall-fixtures"]),
    ("squall-tests", &["squall", "squall-core", "squall-mocks", "squall-fixtures"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace").to_owned()
}

/// Every file of the repository below `folder` whose name ends in `ending`, build output left out.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder can be read") {
            let path = entry.expect("the entry can be read").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && !matches!(name, "target" | ".git" | "failures" | "reports") {
                folders.push(path);
            } else if name.ends_with(ending) && path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", shown(path)))
}

#[test]
fn crates_depend_in_one_direction() {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec();
    let packages = metadata.expect("cargo metadata answers").packages;
    let allowed: BTreeMap<_, _> = DIRECTIONS.iter().copied().collect();
    assert_eq!(packages.len(), allowed.len(), "a new package needs a line in DIRECTIONS");
    for package in packages {
        let may = allowed[package.name.as_str()];
        for dependency in package.dependencies.iter().filter(|it| it.kind == DependencyKind::Normal) {
            let ours = allowed.contains_key(dependency.name.as_str());
            let fine = !ours || may.contains(&dependency.name.as_str());
            assert!(fine, "{} must not depend on {}", package.name, dependency.name);
        }
    }
}

#[test]
fn only_the_bench_names_turmoil() {
    for path in files(&root(), ".rs") {
        let shown = shown(&path);
        let may = shown.starts_with("harness/benches/") || shown == "tests/tests/tidy.rs";
        let text = read(&path);
        let names =
            text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains("turmoil::"));
        assert!(may || !names, "{shown} names turmoil; only harness/benches may");
    }
}

#[test]
fn source_files_hold_one_idea_and_stay_short() {
    for path in files(&root(), ".rs") {
        let lines = read(&path).lines().count();
        let excused = LONGER.iter().any(|(file, _)| *file == shown(&path));
        assert!(
            excused || lines <= LINES_MAX,
            "{} has {lines} lines, more than {LINES_MAX}: split it by idea, or name it in LONGER with a reason",
            shown(&path)
        );
    }
    for (file, reason) in LONGER {
        let lines = read(&root().join(file)).lines().count();
        assert!(lines > LINES_MAX, "{file} is short again: take it out of LONGER");
        assert!(!reason.is_empty(), "{file} is in LONGER without a reason");
    }
}

#[test]
fn source_files_open_with_what_they_hold() {
    for path in files(&root(), ".rs") {
        let text = read(&path);
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("//! "), "{}: the first line must begin with `//! `", shown(&path));
    }
}

#[test]
fn links_in_documents_lead_somewhere() {
    for path in files(&root(), ".md") {
        let text = read(&path);
        for target in link_targets(&text) {
            if target.contains("://") || target.starts_with('#') || target.starts_with("mailto:") {
                continue;
            }
            let file = target.split('#').next().unwrap_or_default();
            let folder = path.parent().expect("a file lies in a folder");
            assert!(folder.join(file).exists(), "{}: the link to {target} leads nowhere", shown(&path));
        }
    }
}

/// The targets of `[text](target)`, code blocks left out.
fn link_targets(text: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for (start, _) in line.match_indices("](") {
            let rest = &line[start + 2..];
            targets.extend(rest.find(')').map(|end| &rest[..end]));
        }
    }
    targets
}

#[test]
fn decisions_are_numbered_without_gaps_and_say_what_and_why() {
    let records = files(&root().join("docs/adr"), ".md");
    assert!(!records.is_empty());
    for (index, path) in records.iter().enumerate() {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = format!("{:04}-", index + 1);
        assert!(name.starts_with(&number), "{}: expected a name that begins with {number}", shown(path));
        let text = read(path);
        for heading in ["## Context", "## Decision", "## Consequences"] {
            assert!(text.contains(heading), "{}: the heading {heading:?} is missing", shown(path));
        }
    }
}

#[test]
fn every_scenario_tells_its_story_and_guards_against_a_vacuous_pass() {
    for path in files(&root().join("scenarios"), ".toml") {
        let text = read(&path);
        if text.contains("abstract = true") {
            continue;
        }
        assert!(text.starts_with('#'), "{}: begin with the story, as comments", shown(&path));
        let guarded = text.contains("sometimes");
        assert!(guarded, "{}: without a `sometimes` a run in which nothing happens passes", shown(&path));
    }
}
