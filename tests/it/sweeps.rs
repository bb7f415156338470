//! Axes: what a sweep makes of a graph, and which of its instances bear what.

use crate::toys::Bench;

const FILE: &str = r#"
[stage.source]
kind = "numbers"
values = [1.0]

[stage.a]
kind = "map"
inputs = { in = "source.out" }

[stage.b]
kind = "map"
inputs = { in = "a.out" }

[stage.c]
kind = "map"
inputs = { in = "source.out" }
"#;

/// The instances of `FILE` with more lines, with arguments.
fn names(more: &str, arguments: &[&str]) -> Vec<String> {
    let mut bench = Bench::new();
    bench.sets = arguments.iter().map(|&argument| argument.to_owned()).collect();
    bench.with(&format!("{FILE}{more}"), |graph| {
        graph.instances.iter().map(|instance| instance.name.to_string()).collect()
    })
}

/// The same without the stages that no axis reaches.
fn varied(more: &str, arguments: &[&str]) -> Vec<String> {
    names(more, arguments).into_iter().filter(|name| name.contains('@')).collect()
}

#[test]
fn zipped_axes_advance_together_and_are_crossed_with_the_others() {
    let zip = "[sweep]\nzip = [{ 'a.add' = [1, 2], 'b.add' = [10, 20] }]\n'b.decimals' = [3, 4]\n";
    assert_eq!(
        varied(zip, &[]),
        [
            "a@a.add=1",
            "a@a.add=2",
            "b@a.add=1,b.add=10,b.decimals=3",
            "b@a.add=1,b.add=10,b.decimals=4",
            "b@a.add=2,b.add=20,b.decimals=3",
            "b@a.add=2,b.add=20,b.decimals=4",
        ]
    );
    // A stage that only one of two zipped axes reaches has each of its values once.
    let apart = "[sweep]\nzip = [{ 'a.add' = [1, 1, 2], 'c.add' = [1, 2, 3] }]\n";
    assert_eq!(
        varied(apart, &[]),
        ["a@a.add=1", "a@a.add=2", "b@a.add=1", "b@a.add=2", "c@c.add=1", "c@c.add=2", "c@c.add=3"]
    );
    let one = "[sweep]\nzip = [{ 'a.add' = [1, 2], 'b.add' = [10, 20] }]\n";
    assert_eq!(varied(one, &["a.add=7"]), ["b@b.add=10", "b@b.add=20"], "one value takes an axis out of its group");
    assert_eq!(
        varied(one, &["a.add=7,8"]),
        ["a@a.add=7", "a@a.add=8", "b@a.add=7,b.add=10", "b@a.add=8,b.add=20"],
        "as many others are zipped in its place"
    );
    assert_eq!(varied(one, &["a.add=7,8,9", "b.add=1,2,3"]).len(), 3 + 3, "both, with another number of values");
    let mut bench = Bench::new();
    bench.sets = vec!["a.add=7,8,9".into()];
    let found = bench.mistakes(&format!("{FILE}{one}"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("`a.add` has 3 values here, and is zipped with `b.add`, which has 2 values"),
        "{found:?}"
    );
}

#[test]
fn points_stand_beside_the_grid_and_exclude_takes_from_it() {
    let points = "[sweep]\npoints = [{ 'a.add' = 1, 'b.add' = 2 }, { 'b.add' = 3, 'a.add' = 1 }]\n";
    assert_eq!(varied(points, &[]), ["a@a.add=1", "b@a.add=1,b.add=2", "b@a.add=1,b.add=3"]);
    let beside = "[sweep]\n'a.add' = [1, 2]\n'b.add' = [5]\npoints = [{ 'a.add' = 3, 'b.add' = 6 }, { 'a.add' = 1, 'b.add' = 5 }]\n";
    assert_eq!(
        varied(beside, &[])[3..],
        ["b@a.add=1,b.add=5", "b@a.add=2,b.add=5", "b@a.add=3,b.add=6"],
        "a point of the grid is no second one"
    );
    let exclude = "[sweep]\n'a.add' = [1, 2]\n'b.add' = [1, 2, 3]\nexclude = [{ 'a.add' = 1.0, 'b.add' = [1, 2] }]\n";
    assert_eq!(
        varied(exclude, &[]),
        ["a@a.add=1", "a@a.add=2", "b@a.add=1,b.add=3", "b@a.add=2,b.add=1", "b@a.add=2,b.add=2", "b@a.add=2,b.add=3"]
    );
    assert_eq!(varied(exclude, &["a.add=1"]), ["b@b.add=3"], "the command line's value counts");
    assert_eq!(varied(exclude, &["a.add=5"]).len(), 3, "and may be one that nothing excludes");
    // `exclude` ties a and b together, and leaves what it does not name as it is.
    let third = format!("{exclude}'c.add' = [7, 8]\n");
    assert_eq!(varied(&third, &[]).len(), 6 + 2);
}

#[test]
fn ranges_are_axes_in_the_file_and_on_the_command_line() {
    assert_eq!(
        varied("[sweep]\n'b.add' = 'range(0.1, 0.3, +0.1)'\n", &[]),
        ["b@b.add=0.1", "b@b.add=0.2", "b@b.add=0.3"]
    );
    assert_eq!(varied("", &["b.decimals=0,range(2, 8, *2)"]).len(), 4);
    assert_eq!(varied("", &["b.decimals=range(1,3)"]), ["b@b.decimals=1", "b@b.decimals=2", "b@b.decimals=3"]);
}

#[test]
fn named_sweeps_are_chosen_and_a_plain_one_is_the_default() {
    let both = "[sweep]\n'a.add' = [1, 2]\n[sweep.other]\n'c.add' = [1, 2, 3]\n";
    assert_eq!(varied(both, &[]).len(), 4);
    assert_eq!(varied(both, &["--sweep=other"]), ["c@c.add=1", "c@c.add=2", "c@c.add=3"]);
    let named = "[sweep.one]\n'a.add' = [1, 2]\n[sweep.two]\n'c.add' = [1, 2, 3]\n";
    assert_eq!(varied(named, &[]), [""; 0]);
    let notes = Bench::new().with(&format!("{FILE}{named}"), |graph| graph.pipeline.notes.clone());
    assert_eq!(notes, ["no sweep is chosen: `--sweep NAME` chooses one of `one`, `two`"]);
    let mut bench = Bench::new();
    bench.sets = vec!["--sweep=tow".into()];
    let found = bench.mistakes(&format!("{FILE}{named}"));
    assert_eq!(found, ["1:9: there is no sweep `tow` | did you mean `two`? there are `one`, `two`"]);
}

#[test]
fn expressions_tie_parameters_and_bring_their_axes_along() {
    let tied = FILE.replace("[stage.c]", "[stage.c]\nadd = '= 2 * a.add + 0.5'\ndecimals = '= b.decimals'");
    let value = |arguments: &[&str]| {
        let mut bench = Bench::new();
        bench.sets = arguments.iter().map(|&argument| argument.to_owned()).collect();
        bench.with(&tied, |graph| {
            let of = graph.instances.iter().filter(|instance| instance.stage == "c");
            of.map(|c| format!("{} {} {}", c.name, c.params()["add"], c.params()["decimals"])).collect::<Vec<_>>()
        })
    };
    assert_eq!(value(&[]), ["c 0.5 6"], "defaults count");
    assert_eq!(value(&["a.add=3"]), ["c 6.5 6"]);
    assert_eq!(value(&["a.add=1,2"]), ["c@a.add=1 2.5 6", "c@a.add=2 4.5 6"]);
    assert_eq!(value(&["a.decimals=1,2"]), ["c 0.5 6"], "an axis over something else does not reach it");
    assert_eq!(value(&["b.decimals=1,2", "a.add=1"]), ["c@b.decimals=1 2.5 1", "c@b.decimals=2 2.5 2"]);
    // An axis may hold expressions, and one in the file is out of play where the axis takes its place.
    assert_eq!(value(&["c.add=0,= b.decimals", "a.add=1,2"]), ["c@c.add=0 0.0 6", "c@c.add== b.decimals 6.0 6"]);
    assert_eq!(value(&["c.add== b.decimals / 4"]), ["c 1.5 6"]);
}

#[test]
fn whole_numbers_of_expressions_keep_all_their_digits() {
    let seed = |expression: &str| {
        let mut bench = Bench::new();
        bench.sets = vec![format!("source.seed== {expression}")];
        bench.with(FILE, |graph| {
            let source = graph.instances.iter().find(|instance| instance.stage == "source").expect("a source");
            source.params()["seed"].to_string()
        })
    };
    assert_eq!(seed("18446744073709551615"), "18446744073709551615");
    assert_eq!(seed("9007199254740992 + 1"), "9007199254740993");
    assert_eq!(seed("4 * 9223372036854775807 / 2 + 1"), "18446744073709551615");
}

#[test]
fn equal_work_is_found_whatever_the_axes_are_called() {
    let bench = Bench::new();
    let one = format!("{FILE}[sweep]\n'a.add' = [1, 2]\n'b.add' = [1, 2]\n");
    assert_eq!(bench.run(&one).started.len(), 1 + 2 + 4 + 1);
    let other = format!("{FILE}[sweep]\npoints = [{{ 'a.add' = 1, 'b.add' = 2 }}, {{ 'a.add' = 2, 'b.add' = 1 }}]\n");
    assert_eq!(bench.run(&other).started, [""; 0]);
    let mistaken = format!("{FILE}[sweep]\n'a.decimals' = ['range(8, 11)', 12]\n");
    let found = bench.mistakes(&mistaken);
    assert_eq!(found.len(), 3, "10, 11 and 12: {found:?}");
    assert!(found[0].starts_with("18:17: `a.decimals`: must be between 0 and 9, got 10"), "{found:?}");
}
