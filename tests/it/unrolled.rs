//! Variants and loops: what they make of a graph, what they share, and the pipelines that come with the project.

use std::{fs, path::Path};

use strata::run::Status;

use crate::{support::Project, toys::Bench};

const VARIANTS: &str = r#"
[stage.source]
kind = "numbers"
values = [1.0]

[stage.a]
kind = "map"
inputs = { in = "source.out" }
add = 1.0

[stage.b]
kind = "map"
inputs = { in = "a.out" }
add = 2.0

[stage.c]
kind = "map"
inputs = { in = "b.out" }
add = "= a.add"
decimals = 5

[stage.d]
kind = "map"
inputs = { in = "a.out" }
add = 4.0

[variant.more]
set = { "b.add" = 5.0 }

[variant.direct]
rewire = { "c.in" = "source.out" }
drop = ["b"]
"#;

fn names(text: &str, arguments: &[&str]) -> Vec<String> {
    let mut bench = Bench::new();
    bench.sets = arguments.iter().map(|&argument| argument.to_owned()).collect();
    bench.with(text, |graph| graph.instances.iter().map(|instance| instance.name.to_string()).collect())
}

#[test]
fn a_variant_is_borne_by_what_it_reaches() {
    assert_eq!(
        names(VARIANTS, &[]),
        [
            "source",
            "a",
            "b@variant=base",
            "b@variant=more",
            "c@variant=base",
            "c@variant=more",
            "c@variant=direct",
            "d"
        ]
    );
    assert_eq!(names(VARIANTS, &["--variant=direct"]), ["source", "a", "c@variant=direct", "d"]);
    assert_eq!(names(VARIANTS, &["--variant=base,more"]).len(), 7);
    assert_eq!(names(VARIANTS, &["--variant=none"]), ["source", "a", "b", "c", "d"]);
}

#[test]
fn a_variant_is_crossed_with_the_sweep_and_what_it_sets_varies_no_more() {
    let swept = format!("{VARIANTS}[sweep]\n'b.add' = [1, 2]\n");
    assert_eq!(
        names(&swept, &[])[2..8],
        [
            "b@variant=base,b.add=1",
            "b@variant=base,b.add=2",
            "b@variant=more",
            "c@variant=base,b.add=1",
            "c@variant=base,b.add=2",
            "c@variant=more",
        ]
    );
    let excluded = format!(
        "{VARIANTS}[sweep]\n'd.add' = [1, 2]\n'a.add' = [3, 4]\nexclude = [{{ variant = 'more', 'a.add' = 4 }}]\n"
    );
    let of = |stage: &str| names(&excluded, &[]).into_iter().filter(|name| name.starts_with(stage)).collect::<Vec<_>>();
    assert_eq!(of("b"), ["b@variant=base,a.add=3", "b@variant=base,a.add=4", "b@variant=more,a.add=3"]);
    assert_eq!(of("d").len(), 4);
}

#[test]
fn a_variant_reaches_through_expressions() {
    let text = VARIANTS.replace("set = { \"b.add\" = 5.0 }", "set = { \"a.add\" = 5.0 }").replace("drop = [\"b\"]", "");
    let bench = Bench::new();
    let c = bench.with(&text, |graph| {
        let of = graph.instances.iter().filter(|instance| instance.stage == "c");
        of.map(|c| format!("{} {}", c.name, c.params()["add"])).collect::<Vec<_>>()
    });
    assert_eq!(c, ["c@variant=base 1.0", "c@variant=more 5.0", "c@variant=direct 1.0"]);
}

#[test]
fn equal_variants_are_one_piece_of_work() {
    let bench = Bench::new();
    assert_eq!(bench.run(VARIANTS).started.len(), 8);
    let same = VARIANTS.replace("5.0", "2.0");
    assert_eq!(bench.run(&same).started, [""; 0], "a variant that changes nothing is the graph as it is");
}

const LOOP: &str = r#"
[stage.source]
kind = "numbers"
values = [1.25]

[stage.up]
kind = "map"
inputs = { in = "source.out" }
add = 1.0

[stage.cut]
kind = "map"
inputs = { in = "up.out" }
decimals = 1

[stage.last]
kind = "map"
inputs = { in = "cut.out" }
decimals = 2

[stage.first]
kind = "map"
inputs = { in = "cut@again=1.out" }
decimals = 3

[loop.again]
times = 2
body = ["up", "cut"]
carry = { "up.in" = "cut.out" }
"#;

#[test]
fn a_loop_is_unrolled_and_more_rounds_go_on_where_fewer_ended() {
    assert_eq!(names(LOOP, &[]), ["source", "up@again=1", "cut@again=1", "up@again=2", "cut@again=2", "last", "first"]);
    let mut bench = Bench::new();
    assert_eq!(bench.run(LOOP).started.len(), 7);
    let text = LOOP.replace("times = 2", "times = 3");
    assert_eq!(bench.run(&text).started, ["up@again=3", "cut@again=3", "last"]);
    bench.sets = vec!["again.times=1".into()];
    assert_eq!(bench.run(&text).started, ["last"], "fewer rounds are there already");
}

#[test]
fn a_loop_that_changes_nothing_more_ends_early_by_content() {
    let bench = Bench::new();
    // 1.25 is cut to 1.2, which stays 1.2: what comes into round 3 is what came into round 2, byte for byte.
    let text = LOOP.replace("add = 1.0", "add = 0.0").replace("times = 2", "times = 50");
    let ran = bench.run(&text);
    assert_eq!(ran.started, ["source", "up@again=1", "cut@again=1", "up@again=2", "cut@again=2", "last", "first"]);
    assert_eq!(ran.all.len(), 1 + 50 * 2 + 2);
    let cached = ran.all.iter().filter(|(_, status)| *status == Status::Cached).count();
    assert_eq!(cached, ran.all.len() - ran.started.len());
}

#[test]
fn the_number_of_rounds_is_an_axis_like_others() {
    let swept = names(LOOP, &["again.times=1,3"]);
    assert_eq!(
        swept,
        [
            "source",
            "up@again=1",
            "cut@again=1",
            "up@again=2",
            "cut@again=2",
            "up@again=3",
            "cut@again=3",
            "last@again.times=1",
            "last@again.times=3",
            "first"
        ]
    );
    // As many additions in all: one round of two, or two of one. Round 2 is only wanted where there are two.
    let budget = format!("{LOOP}[sweep]\nzip = [{{ 'again.times' = [1, 2], 'up.add' = [2, 1] }}]\n");
    let wanted = names(&budget, &[]);
    let ups: Vec<&String> = wanted.iter().filter(|name| name.starts_with("up")).collect();
    assert_eq!(ups, ["up@again=1,up.add=2", "up@again=1,up.add=1", "up@again=2,up.add=1"]);
    let lasts: Vec<&String> = wanted.iter().filter(|name| name.starts_with("last")).collect();
    assert_eq!(lasts, ["last@again.times=1,up.add=2", "last@again.times=2,up.add=1"]);
}

#[test]
fn variants_and_loops_go_together() {
    let both = format!("{LOOP}[variant.half]\nset = {{ 'cut.decimals' = 0 }}\n");
    let wanted = names(&both, &[]);
    assert_eq!(wanted.len(), 1 + 2 * 6 - 1, "only round 1 of `up` is shared: {wanted:?}");
    assert!(wanted.contains(&"up@variant=base,again=1".to_owned()), "{wanted:?}");
    assert!(wanted.contains(&"cut@variant=half,again=2".to_owned()), "{wanted:?}");
}

/// The graph of a pipeline that comes with the project, as text.
fn graph(name: &str, arguments: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines").join(name);
    let project = Project::new();
    let file = format!("pipelines/{name}");
    project.write(&file, fs::read_to_string(path).expect("a pipeline"));
    let args: Vec<&str> = ["graph", file.as_str()].into_iter().chain(arguments.iter().copied()).collect();
    project.done(&args).out
}

#[test]
fn the_graphs_of_the_shipped_pipelines() {
    insta::assert_snapshot!("zip", graph("zip.toml", &[]));
    insta::assert_snapshot!("zip_tied", graph("zip.toml", &["--sweep", "tied"]));
    insta::assert_snapshot!("zip_corners", graph("zip.toml", &["--sweep", "corners"]));
    insta::assert_snapshot!("variants", graph("variants.toml", &[]));
    insta::assert_snapshot!("loop", graph("loop.toml", &[]));
    insta::assert_snapshot!("loop_times", graph("loop.toml", &["-S", "recluster.times=range(1, 3)"]));
}
