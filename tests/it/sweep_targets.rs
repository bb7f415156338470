//! Names that are printed are accepted back, and axes are what they are worth, by every verb.

use serde_json::json;

use crate::{
    support::{NEIGHBOURS, Project, text},
    toys::Bench,
};

/// Neighbours over axes whose values have more than one notation.
fn project() -> Project {
    let sweep =
        "[sweep]\n'knn.temperature' = [1e-1, 0.50]\n'knn.k' = [0x1, 1_0]\n'images.limit_train' = ['none', 60]\n";
    Project::with(&format!("{NEIGHBOURS}{sweep}"))
}

#[test]
fn values_are_found_in_any_notation() {
    let project = project();
    let file = "pipelines/p.toml";
    let plan = project.json(&["run", file, "-q", "--threads", "1"]);
    let names: Vec<String> = plan["stages"].as_array().expect("stages").iter().map(|s| text(&s["instance"])).collect();
    assert!(names.contains(&"knn@knn.temperature=1e-1,knn.k=0x1,images.limit_train=none".to_owned()), "{names:?}");
    for name in &names {
        let planned = project.json(&["plan", file, name]);
        assert!(
            planned["stages"].as_array().is_some_and(|stages| stages.iter().any(|stage| stage["instance"] == **name))
        );
        project.done(&["why", file, name]);
    }
    let rows = |target: &str| project.json(&["table", file, target])["rows"].as_array().map_or(0, Vec::len);
    for (target, count) in [
        ("knn@knn.temperature=0.1", 4),
        ("knn@knn.temperature=0.10,knn.k=+1", 2),
        ("knn@k=0b1,temperature=1e-1", 2),
        ("knn@knn.k=10,images.limit_train=none", 2),
        ("knn@images.limit_train=0x3c", 4),
    ] {
        assert_eq!(rows(target), count, "{target}");
    }
    let table = project.json(&["table", file]);
    let axes = &table["rows"][0]["axes"];
    assert_eq!(*axes, json!({"images.limit_train": null, "knn.k": 1, "knn.temperature": 0.1}));
    let compared = project.json(&["compare", file, "knn@knn.k=0x1", "knn@knn.k=1_0"]);
    assert_eq!(compared["comparisons"][0]["pairs"], 4, "{compared}");
    project.done(&["diff", file, "knn@knn.k=1,knn.temperature=0.1,limit_train=none", &names[names.len() - 1]]);
    let differences = project.json(&["table", file, "--baseline", "knn.k=0x1"]);
    let with = differences["rows"].as_array().expect("rows").iter().filter(|row| !row["differences"].is_null());
    assert_eq!(with.count(), 4, "{differences}");
    let wrong = project.strata(&["table", file, "knn@knn.q=1"]);
    assert!(wrong.code == Some(2) && wrong.err.contains("`knn` has no axis `knn.q`"), "{}", wrong.err);
}

#[test]
fn exports_take_targets_and_ports() {
    let project = project();
    let file = "pipelines/p.toml";
    project.done(&["run", file, "-q", "--threads", "1"]);
    for (at, (target, count)) in [
        ("train", 2),
        ("train.features", 2),
        ("train@images.limit_train=6_0", 1),
        ("train@images.limit_train=none.features", 1),
        ("images@limit_train=60.train", 1),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = format!("out{at}");
        let printed = project.done(&["export", file, target, "-o", &folder]).out;
        assert_eq!(printed.lines().count(), count, "{target}: {printed}");
    }
    for (target, message) in [
        ("train.featurs", "`train` has no output `featurs`; there are `features`"),
        ("train@images.limit_train=61.features", "no instance of `train` is"),
        ("trian", "did you mean `train`?"),
    ] {
        let wrong = project.strata(&["export", file, target, "-o", "wrong"]);
        assert!(wrong.code == Some(2) && wrong.err.contains(message), "{target}: {}", wrong.err);
    }
}

#[test]
fn a_pipeline_from_standard_input_belongs_to_the_current_folder() {
    let project = Project::with(NEIGHBOURS);
    let mut shell = std::process::Command::new("sh");
    let script = "\"$0\" run /dev/stdin images -q --threads 1 < pipelines/p.toml";
    let ran = crate::support::finish(
        shell
            .args(["-c", script, env!("CARGO_BIN_EXE_strata")])
            .current_dir(project.path(""))
            .env_remove("STRATA_CACHE_DIR"),
    );
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(project.path("cache").exists(), "the cache is in the current folder");
}

const FILE: &str = "[stage.source]\nkind = \"numbers\"\n[stage.a]\nkind = \"map\"\ninputs = { in = \"source.out\" }\n";

fn names(more: &str, arguments: &[&str]) -> Vec<String> {
    let mut bench = Bench::new();
    bench.sets = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let all =
        |graph: &strata::graph::Graph<'_>| graph.instances.iter().map(|one| one.name.to_string()).collect::<Vec<_>>();
    bench.with(&format!("{FILE}{more}"), all).into_iter().filter(|name| name.starts_with('a')).collect()
}

#[test]
fn values_with_commas_and_quotes_are_read_back() {
    let paths = ["a,b", "it's", "br[a", "x=y", "a,source.seed=1", "none", "1", "quo\"te"];
    let listed: Vec<String> = paths.iter().map(|path| format!("{path:?}")).collect();
    let text = format!("{FILE}[sweep]\n'source.path' = [{}]\n'a.add' = [1.0, 2.0]\n", listed.join(", "));
    Bench::new().with(&text, |graph| {
        for instance in &graph.instances {
            let found = graph.select(&[instance.name.to_string()]).expect("its own name").targets;
            assert_eq!(found.len(), 1, "{}", instance.name);
        }
        for path in paths {
            for target in [format!("a@a.add=1,source.path={path:?}"), format!("a@source.path={path},a.add=1e0")] {
                let found = graph.select(std::slice::from_ref(&target)).expect(&target).targets;
                let names: Vec<&str> = found.iter().map(|&at| graph.instances[at].name.as_ref()).collect();
                assert_eq!(names.len(), 1, "{target}: {names:?}");
            }
        }
    });
}

#[test]
fn points_with_axes_of_their_own_leave_the_grid_alone() {
    let points = "[sweep]\n'a.add' = [1.0, 2.0]\npoints = [{ 'a.add' = 5.0, 'a.decimals' = 2 }, { 'a.add' = 1, 'a.decimals' = 6 }]\n";
    assert_eq!(
        names(points, &[]),
        ["a@a.add=1.0,a.decimals=6", "a@a.add=2.0,a.decimals=6", "a@a.add=5.0,a.decimals=2"],
        "a point that is in the grid counts once"
    );
    assert_eq!(names(points, &["a.decimals=3"]), ["a@a.add=1.0", "a@a.add=2.0", "a@a.add=5.0"]);
    assert_eq!(names(points, &["a.add=3"]), ["a@a.decimals=6", "a@a.decimals=2"]);
}

#[test]
fn points_stand_beside_what_is_drawn() {
    let drawn = "[sweep]\nmethod = 'random'\nbudget = 3\n'a.add' = 'uniform(0.1, 0.9)'\npoints = [{ 'a.add' = 5.0 }]\n";
    let all = names(drawn, &[]);
    assert_eq!((all.len(), all.last().map(String::as_str)), (4, Some("a@a.add=5.0")), "{all:?}");
}

#[test]
fn exclude_leaves_explicit_points_in() {
    let variants = "[variant.v]\nset = { 'a.decimals' = 2 }\n";
    let sweep = "[sweep]\n'a.add' = [1.0, 2.0]\npoints = [{ 'a.add' = 5.0 }]\nexclude = [{ variant = 'base' }]\n";
    assert_eq!(
        names(&format!("{variants}{sweep}"), &[]),
        ["a@variant=base,a.add=5.0", "a@variant=v,a.add=1.0", "a@variant=v,a.add=2.0", "a@variant=v,a.add=5.0"]
    );
}

#[test]
fn neighbours_above_two_to_the_53_are_two_values() {
    let sweep = "[sweep]\n'source.seed' = [9007199254740992, 9007199254740993]\n";
    assert_eq!(
        names(&format!("{sweep}exclude = [{{ 'source.seed' = 9007199254740992 }}]\n"), &[]),
        ["a@source.seed=9007199254740993"]
    );
    assert_eq!(names("[sweep]\n'a.add' = [0x10, 16.0, 1_6, 1.6e1]\n", &[]), ["a@a.add=0x10"]);
}
