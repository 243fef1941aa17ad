//! `extends`: one parent, laid under the child.

use crate::support::{VALID, load_files, options};

fn load(files: &[(&str, &str)]) -> Result<squall::scenario::Loaded, squall::scenario::Diagnostics> {
    load_files(files, &options())
}

#[test]
fn tables_merge_lists_append_and_the_same_name_is_merged() {
    let child = r#"
        schema = 1
        name = "child"
        extends = "base/parent.toml"
        [run]
        duration = "90s"
        [[workload]]
        name = "place-orders"
        spoil = { duplicate = 0.5 }
        [[fault]]
        name = "crash-in-the-gap"
        for = "3s"
        when = { nth = 4 }
        [[fault]]
        name = "new"
        at = "4s"
        redis.flush = {}
    "#;
    let loaded =
        load(&[("child.toml", child), ("base/parent.toml", VALID)]).unwrap_or_else(|e| panic!("{e}"));
    let scenario = &loaded.cases[0].scenario;
    assert_eq!(scenario.name, "child");
    assert_eq!((scenario.run.duration.as_secs(), scenario.run.settle.as_secs()), (90, 60));
    assert_eq!(scenario.faults.len(), 6);
    let crash = &scenario.faults[0];
    assert_eq!(crash.lasts.map(|lasts| lasts.as_secs()), Some(3), "the child's word counts");
    let when = crash.when.as_ref().expect("the parent's point");
    assert_eq!((when.point.as_str(), when.nth), ("processor.after-effect", 4), "tables inside merge as well");
    assert_eq!(crash.fault().map(|fault| fault.kind()), Some("process.kill"), "the rest is inherited");
    assert_eq!(scenario.workloads.len(), 1);
    let (workload, spoil) = (&scenario.workloads[0], scenario.workloads[0].spoil);
    assert_eq!((workload.count, spoil.duplicate.get(), spoil.late.get()), (2000, 0.5, 0.01));
    assert_eq!(scenario.faults[5].name.as_deref(), Some("new"));
}

#[test]
fn a_mistake_in_the_parent_points_into_the_parent() {
    let child = "schema = 1\nname = \"child\"\nextends = \"base/parent.toml\"\n";
    let parent = VALID.replace("\"200/s\"", "\"200\"");
    let found =
        load(&[("child.toml", child), ("base/parent.toml", &parent)]).expect_err("a mistake").records();
    assert_eq!(found.len(), 1, "{found:?}");
    let line = VALID.lines().position(|line| line.starts_with("rate")).map(|index| index + 1);
    assert_eq!(found[0].line, line);
    assert!(found[0].file.as_deref().is_some_and(|file| file.ends_with("base/parent.toml")), "{found:?}");
}

#[test]
fn a_name_is_not_inherited() {
    let child = "schema = 1\nextends = \"parent.toml\"\n";
    let found = load(&[("child.toml", child), ("parent.toml", VALID)]).expect_err("a mistake").records();
    assert_eq!(found[0].message, "the scenario has no name");
}

#[test]
fn circles_missing_parents_and_deep_lines_are_mistakes() {
    let circle = load(&[("a.toml", "extends = \"b.toml\""), ("b.toml", "extends = \"./a.toml\"")]);
    assert!(circle.expect_err("a circle").to_string().contains("in a circle"));
    let missing =
        load(&[("a.toml", "schema = 1\nextends = \"nowhere.toml\"")]).expect_err("missing").records();
    assert_eq!((missing[0].line, missing[0].column), (Some(2), Some(11)));
    let texts: Vec<_> =
        (0..20).map(|n| (format!("{n}.toml"), format!("extends = \"{}.toml\"", n + 1))).collect();
    let files: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert!(load(&files).expect_err("too deep").to_string().contains("deeper than"));
}

#[test]
fn an_abstract_file_is_extended_and_not_run() {
    let parent = format!("abstract = true\n{VALID}");
    let alone = load(&[("parent.toml", &parent)]).expect_err("abstract").to_string();
    assert!(alone.contains("there to be extended"), "{alone}");
    let child = "schema = 1\nname = \"child\"\nextends = \"parent.toml\"\n";
    assert!(load(&[("child.toml", child), ("parent.toml", &parent)]).is_ok());
}

#[test]
fn another_kind_under_an_inherited_name_is_a_mistake() {
    for kind in ["process.kill = {}\nredis.flush = {}", "kafka.move-coordinator = { group = \"g\" }"] {
        let child = format!(
            "schema = 1\nname = \"child\"\nextends = \"parent.toml\"\n[[fault]]\nname = \"crash-in-the-gap\"\n{kind}\n"
        );
        let found =
            load(&[("child.toml", &child), ("parent.toml", VALID)]).expect_err("two kinds").to_string();
        assert!(found.contains("a fault has one kind"), "{found}");
    }
    let parent = VALID.replace("at = \"20s\"", "at = \"20s\"\nname = \"cut\"");
    let same_group = "schema = 1\nname = \"child\"\nextends = \"parent.toml\"\n[[fault]]\nname = \"cut\"\n\
                      net.half-open = { link = [\"redis\", \"worker-1\"] }\n";
    assert!(load(&[("child.toml", same_group), ("parent.toml", &parent)]).is_err());
}
