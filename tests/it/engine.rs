//! The engine with toy kinds: what is planned, what runs, and what stays cached.

use strata::{plan::PlanStatus, run::Status};

use crate::toys::{Bench, Ran};

const CHAIN: &str = r#"
[stage.source]
kind = "numbers"
values = [1.25, 2.5]

[stage.round]
kind = "map"
inputs = { in = "source.out" }
decimals = 0

[stage.shift]
kind = "map"
inputs = { in = "round.out" }
add = 10.0
"#;

#[test]
fn a_second_run_enters_no_stage() {
    let bench = Bench::new();
    assert_eq!(bench.run(CHAIN).started, ["source", "round", "shift"]);
    let again = bench.run(CHAIN);
    assert_eq!(again.started, [""; 0]);
    assert!(again.all.iter().all(|(_, status)| *status == Status::Cached));
}

#[test]
fn what_does_not_matter_changes_nothing() {
    let bench = Bench::new();
    bench.run(CHAIN);
    let same = [
        CHAIN.replace("[stage.round]", "# a comment\n[stage.round]"),
        CHAIN.replace("add = 10.0", "add = 10"),
        CHAIN.replace("add = 10.0", "decimals = 6\nfail = false\nadd = 1e1\nretries = 2"),
        CHAIN.replace("round", "trunc"),
        CHAIN.replace("kind = \"numbers\"\nvalues = [1.25, 2.5]", "values = [ 1.25, 2.50 ]\nkind = 'numbers'"),
    ];
    for text in same {
        assert_eq!(bench.run(&text).started, [""; 0], "{text}");
    }
}

#[test]
fn a_change_reruns_what_depends_on_it_and_equal_bytes_stop_there() {
    let bench = Bench::new();
    bench.run(CHAIN);
    assert_eq!(bench.run(&CHAIN.replace("add = 10.0", "add = 11.0")).started, ["shift"]);
    // 1.75 is cut to 1 as 1.25 was: `round` runs, gives the same bytes, and `shift` stays.
    assert_eq!(bench.run(&CHAIN.replace("1.25", "1.75")).started, ["source", "round"]);
    assert_eq!(bench.run(&CHAIN.replace("1.25", "3.75")).started, ["source", "round", "shift"]);
    assert_eq!(bench.run(CHAIN).started, [""; 0], "old values find old results");
}

#[test]
fn a_plan_says_what_a_run_does() {
    let bench = Bench::new();
    let words = |text: &str| bench.plan(text).into_iter().map(|(_, status, _)| status).collect::<Vec<_>>();
    assert_eq!(words(CHAIN), [PlanStatus::Run, PlanStatus::Waiting, PlanStatus::Waiting]);
    assert!(!bench.folder.path().join("cache").exists(), "a plan writes nothing");
    bench.run(CHAIN);
    let plan = bench.plan(&CHAIN.replace("decimals = 0", "decimals = 1"));
    let lines: Vec<String> = plan.iter().map(|(name, status, reason)| format!("{name} {status:?} {reason}")).collect();
    assert_eq!(lines, ["source Cached ", "round Run decimals: 0 -> 1", "shift Waiting waits for round"]);
}

#[test]
fn source_files_count_by_content() {
    let bench = Bench::new();
    let text = "[stage.source]\nkind = 'numbers'\npath = 'x.txt'\n";
    let file = bench.folder.path().join("x.txt");
    std::fs::write(&file, "1\n2\n").expect("written");
    assert_eq!(bench.run(text).started, ["source"]);
    std::fs::write(&file, "1\n2\n").expect("touched");
    assert_eq!(bench.run(text).started, [""; 0]);
    std::fs::write(&file, "1\n3\n").expect("changed");
    assert_eq!(bench.plan(text)[0].2, "the files at `path` changed");
    assert_eq!(bench.run(text).started, ["source"]);
    std::fs::remove_file(&file).expect("removed");
    let ran = bench.run(text);
    assert_eq!(ran.all, [("source".to_owned(), Status::Failed)]);
    assert!(ran.messages[0].contains("x.txt"), "{:?}", ran.messages);
}

const SWEEP: &str = r#"
[stage.source]
kind = "numbers"
values = [1.0]

[stage.a]
kind = "map"
inputs = { in = "source.out" }

[stage.b]
kind = "map"
inputs = { in = "a.out" }

[sweep]
"a.add" = [1, 2, 3]
"b.add" = [10, 20]
"#;

#[test]
fn a_sweep_is_one_merged_graph() {
    let bench = Bench::new();
    let plan = bench.plan(SWEEP);
    assert_eq!(plan.len(), 1 + 3 + 6);
    assert_eq!(plan[1].0, "a@a.add=1");
    assert_eq!(plan[5].0, "b@a.add=1,b.add=20");
    assert_eq!(bench.run(SWEEP).started.len(), 10);
    let more = SWEEP.replace("[1, 2, 3]", "[1, 2, 3, 4]");
    assert_eq!(bench.run(&more).started, ["a@a.add=4", "b@a.add=4,b.add=10", "b@a.add=4,b.add=20"]);
}

#[test]
fn equal_points_are_one_piece_of_work() {
    let bench = Bench::new();
    let twice = SWEEP.replace("[1, 2, 3]", "[1, 2, \"= 2 - 1\"]");
    let plan = bench.plan(&twice);
    assert!(plan.iter().any(|(name, status, reason)| {
        name == "a@a.add== 2 - 1" && *status == PlanStatus::Cached && reason == "the same work as a@a.add=1"
    }));
    assert_eq!(bench.run(&twice).started.len(), 1 + 2 + 4);
    // Different parameters that give equal bytes: what stands on them is done once, even side by side.
    let mut wide = Bench::new();
    wide.jobs = 4;
    let converging = SWEEP.replace("[1, 2, 3]", "[1.00000001, 1.00000002]");
    assert_eq!(wide.run(&converging).started.len(), 1 + 2 + 2);
}

#[test]
fn overrides_replace_values_and_make_axes() {
    let mut bench = Bench::new();
    bench.sets = vec!["round.decimals=1".into(), "shift.add=1,2".into()];
    let names: Vec<String> = bench.plan(CHAIN).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["source", "round", "shift@shift.add=1", "shift@shift.add=2"]);
    bench.sets = vec!["a.add=7".into()];
    assert_eq!(bench.plan(SWEEP).len(), 1 + 1 + 2, "a single value takes the place of an axis");
}

#[test]
fn targets_force_and_failures() {
    let mut bench = Bench::new();
    bench.targets = vec!["round".into()];
    assert_eq!(bench.run(CHAIN).started, ["source", "round"]);
    bench.force = true;
    assert_eq!(bench.run(CHAIN).started, ["round"], "only the target is forced");
    (bench.force, bench.targets) = (false, Vec::new());

    let failing = SWEEP.replace("inputs = { in = \"a.out\" }", "inputs = { in = \"a.out\" }\nfail = true");
    let ran = bench.run(&failing);
    let count = |ran: &Ran, status| ran.all.iter().filter(|(_, s)| *s == status).count();
    // How much of `a` was made before the first failure is a matter of order; of `b` nothing was.
    let of_b = |status| ran.all.iter().filter(|(name, s)| name.starts_with("b@") && *s == status).count();
    assert_eq!((count(&ran, Status::Failed), of_b(Status::Failed), of_b(Status::Blocked)), (1, 1, 5));
    bench.keep_going = true;
    let ran = bench.run(&failing);
    assert_eq!((count(&ran, Status::Failed), count(&ran, Status::Blocked)), (6, 0));
    assert_eq!(count(&ran, Status::Ran) + count(&ran, Status::Cached), 4);
}

#[test]
fn damaged_objects_are_seen_and_made_again() {
    let bench = Bench::new();
    bench.run(CHAIN);
    let store = bench.store();
    let file = |name: String| store.root().expect("a folder").join(name);
    for (name, size) in store.objects().expect("listed") {
        std::fs::write(file(name), vec![7u8; size as usize]).expect("overwritten");
    }
    // The sizes are right, so only reading shows the damage: `shift` cannot run, and what it needs is made again.
    let ran = bench.run(&CHAIN.replace("add = 10.0", "add = 12.0"));
    assert!(ran.all.iter().all(|(_, status)| *status != Status::Failed), "{:?}", ran.messages);
    assert_eq!(ran.started, ["shift", "round", "source", "round", "shift"]);
    for (name, _) in store.objects().expect("listed") {
        std::fs::remove_file(file(name)).expect("removed");
    }
    assert_eq!(bench.plan(CHAIN)[0].2, "the object of `out` is missing");
    assert_eq!(bench.run(CHAIN).started, ["source", "round", "shift"]);
}

#[test]
fn the_seed_of_the_pipeline_is_the_default_of_every_stage() {
    let bench = Bench::new();
    let seeded = |seed: u64| format!("[pipeline]\nseed = {seed}\n{CHAIN}");
    bench.run(&seeded(1));
    assert_eq!(bench.plan(&seeded(2))[0].2, "seed: 1 -> 2");
    let fixed = seeded(2).replace("kind = \"numbers\"", "kind = \"numbers\"\nseed = 1");
    assert_eq!(bench.run(&fixed).started, [""; 0]);
}

#[test]
fn all_mistakes_are_found_at_once() {
    let bench = Bench::new();
    let text = r#"
[stage.source]
kind = "numbrs"

[stage.a]
kind = "map"
inputs = { in = "b.out", out = "c.out" }
decimals = 12
ad = 1

[stage.b]
kind = "map"
inputs = { in = "a.out" }
fail = "yes"
add = "no"

[stage.d]
kind = "map"
inputs = { in = "source.out" }

[sweep]
"a.ad" = [1]
"x.y" = [1]
"#;
    assert_eq!(
        bench.mistakes(text),
        [
            "3:8: unknown kind `numbrs` | did you mean \"numbers\"?",
            "5:8: a cycle of stages: a -> b -> a | each arrow is an input; one of them must come from somewhere else",
            "7:26: kind `map` has no input port `out` | there are `in`",
            "7:32: there is no stage `c` | did you mean `a`?",
            "8:12: `a.decimals`: must be between 0 and 9, got 12",
            "9:1: kind `map` has no parameter `ad` | did you mean `add`?",
            "14:8: `b.fail`: must be true or false; got \"yes\"",
            "15:7: `b.add`: must be a number; got \"no\"",
            "22:1: `a.ad`: kind `map` has no parameter `ad` | did you mean `a.add`?",
            "23:1: `x.y`: there is no stage `x` | did you mean `a.y`?",
        ]
    );
    let values = r#"
[stage.source]
kind = "numbers"
values = [1, "x"]
[stage.a]
kind = "map"
inputs = { in = "source.out" }
fail = "yes"
add = "no"
decimals = 12
"#;
    let found = bench.mistakes(values);
    assert_eq!(found.len(), 4, "{found:#?}");
}
