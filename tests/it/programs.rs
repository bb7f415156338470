//! Programs as kinds of stages: what is in the key, what a program is given, and what it may say. The programs are shell
//! scripts, so that the tests need nothing else.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Project, Ran, text};

/// A chain of programs: `first` writes a number of lines, `second` counts them.
const CHAIN: &str = r#"
[kind.lines]
doc = "Writes lines"
run = "sh kinds/lines.sh {outputs.text} {params.count}"
files = ["kinds/lines.sh", "kinds/common/*.sh"]
outputs = { text = "file" }
params = { count = 3, word = { default = "a", choices = ["a", "b"], doc = "what a line says" } }

[kind.count]
run = ["sh", "kinds/count.sh"]
inputs = { text = "file" }
outputs = { total = "file" }
params = { factor = 1.0, seed = 0 }
metrics = { total = "higher" }

[stage.first]
kind = "lines"

[stage.second]
kind = "count"
inputs = { text = "first.text" }

[stage.other]
kind = "lines"
word = "b"
"#;

/// What scripts use to read their request, which has one entry in each line.
const COMMON: &str = r#"
field() { sed -n "s/^ *\"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$STRATA_REQUEST" | head -n 1; }
path() { sed -n "/\"$1\": {/,/}/s/.*\"path\": \"\(.*\)\".*/\1/p" "$STRATA_REQUEST"; }
say() { echo "$1" >> "$(field events)"; }
"#;

const LINES: &str = r#"
. kinds/common/request.sh
echo "writes $2 lines"
yes "$(field word)" | head -n "$2" > "$1"
"#;

const COUNT: &str = r#"
. kinds/common/request.sh
total=$(wc -l < "$(path text)")
factor=$(field factor)
echo "$total" > "$(path total)"
say "{\"metric\": \"total\", \"value\": $((total * ${factor%.*}))}"
say "{\"series\": \"steps\", \"epoch\": 1, \"value\": $total}"
say "{\"progress\": 1, \"total\": 1, \"unit\": \"line\"}"
"#;

/// A project with these programs and this pipeline.
fn project(pipeline: &str) -> Project {
    let project = Project::with(pipeline);
    project.write("kinds/common/request.sh", COMMON);
    project.write("kinds/lines.sh", LINES);
    project.write("kinds/count.sh", COUNT);
    project
}

/// The instances of a plan or run whose status is none of `cached` and `waiting`.
fn busy(project: &Project, verb: &str) -> Vec<String> {
    let words = project.words(verb, &[]).into_iter();
    words.filter(|(_, word)| word != "cached").map(|(instance, _)| instance).collect()
}

#[test]
fn what_a_program_depends_on_is_in_its_key_and_nothing_else() {
    let project = project(CHAIN);
    assert_eq!(busy(&project, "run"), ["first", "second", "other"]);
    assert_eq!(busy(&project, "run"), [""; 0]);
    let why = |stage: &str| project.done(&["why", "pipelines/p.toml", stage]).out;

    project.write("kinds/lines.sh", format!("{LINES}\n# edited"));
    assert_eq!(busy(&project, "plan"), ["first", "second", "other"]);
    let said = why("first");
    assert!(said.contains("`kinds/lines.sh` changed") && said.contains("pipelines/p.toml:4:7"), "{said}");
    // The same lines come out, so what depends on them stays.
    let ran = project.words("run", &[]);
    let word = |name: &str| ran.iter().find(|(instance, _)| instance == name).map(|(_, word)| word.as_str());
    assert_eq!((word("first"), word("second")), (Some("ran"), Some("cached")), "{ran:?}");

    project.write("kinds/common/request.sh", format!("{COMMON}\n# edited"));
    assert_eq!(busy(&project, "plan"), ["first", "second", "other"], "a helper that `files` names");
    assert!(why("other").contains("`kinds/common/request.sh` changed"));
    project.done(&["run", "pipelines/p.toml"]);
    project.write("kinds/common/new.sh", "# new");
    assert_eq!(busy(&project, "plan"), ["first", "second", "other"], "a new file that a pattern finds");
    assert!(why("other").contains("`kinds/common/new.sh` changed"));
    fs::remove_file(project.path("kinds/common/new.sh")).expect("it is there");
    assert_eq!(busy(&project, "plan"), [""; 0]);

    project.write("kinds/unnamed.sh", "# nobody names it");
    assert_eq!(busy(&project, "plan"), [""; 0]);
    project.edit("pipelines/p.toml", "doc = \"Writes lines\"", "doc = \"Lines\"\ntimeout = \"1h\"\n# a comment");
    assert_eq!(busy(&project, "plan"), [""; 0], "a text for people and a limit");
    project.edit("pipelines/p.toml", "factor = 1.0", "factor = { default = 1.0, max = 9 }");
    assert_eq!(busy(&project, "plan"), [""; 0], "a bound");
    project.edit("pipelines/p.toml", "factor = { default = 1.0", "factor = { default = 2.0");
    assert_eq!(busy(&project, "plan"), ["second"], "a default");
    assert!(why("second").contains("factor: 1.0 -> 2.0"), "{}", why("second"));
    project.edit("pipelines/p.toml", "factor = { default = 2.0", "factor = { default = 1.0");
    project.edit("pipelines/p.toml", "run = [\"sh\", ", "version = 2\nrun = [\"sh\", ");
    assert_eq!(busy(&project, "plan"), ["second"], "a version");
    project.edit("pipelines/p.toml", "version = 2\nrun = [\"sh\", ", "run = [\"sh\", \"-e\", ");
    assert_eq!(busy(&project, "plan"), ["second"], "a command");
    assert!(why("second").contains("program.run") && why("second").contains("run = [\"sh\", \"-e\""));
}

#[test]
fn a_sweep_over_a_programs_parameter_has_a_table_with_intervals() {
    let project = project(&format!(
        "{CHAIN}\n[sweep]\n\"first.count\" = [2, 4]\n\"second.factor\" = [1.0, 3.0]\nseeds = 3\nvary = [\"second\"]\n"
    ));
    project.done(&["run", "pipelines/p.toml"]);
    let rows = project.json(&["table", "pipelines/p.toml"]);
    let rows = rows["rows"].as_array().expect("rows").clone();
    let totals: Vec<(String, f64)> = rows
        .iter()
        .filter(|row| row["stage"] == "second")
        .map(|row| (text(&row["instance"]), row["metrics"]["total"].as_f64().expect("a number")))
        .collect();
    assert_eq!(totals.len(), 12, "{totals:?}");
    assert!(totals.contains(&("second@first.count=4,second.factor=3.0,seed=2".to_owned(), 12.0)), "{totals:?}");
    let table = project.done(&["table", "pipelines/p.toml"]).out;
    assert!(table.contains("12 [  12,   12]"), "{table}");
    let set = project.words("plan", &["-S", "second.factor=3.0,7.0"]);
    assert_eq!(set.iter().filter(|(_, word)| word == "run").count(), 6, "{set:?}");
}

#[test]
fn a_program_is_given_what_the_page_says() {
    let project = Project::with(
        r#"
[pipeline]
seed = 18446744073709551615
include = ["kinds/copy.toml"]

[stage.a]
kind = "copy"
list = [1, "x"]

[stage.b]
kind = "copy"
inputs = { one = "a.request" }
needs = { threads = 1 }
"#,
    );
    project.write(
        "kinds/copy.toml",
        r#"
[kind.copy]
run = "sh -c 'cp \"$STRATA_REQUEST\" \"$1\"; env > \"$2\"; pwd > \"$3\"; echo {{not}} {} {params.flag} >> \"$3\"; test -d \"$TMPDIR\" && : > \"$TMPDIR/x\"' _ {outputs.request} {outputs.env} {outputs.pwd}"
inputs = { one = "file?", two = "features?" }
outputs = { request = "file", env = "file", pwd = "file", more = "matrix?" }
params = { seed = 3, list = [], flag = true, x = { type = "float", default = 1 } }
environment = ["OURS", "UNSET"]
"#,
    );
    let command = |verb: &str, ours: &str| {
        let mut command = project.command();
        command.args([verb, "pipelines/p.toml", "--output", "json"]);
        command.env("OURS", ours).env("THEIRS", "hidden").env("CUDA_VISIBLE_DEVICES", "4,7").env_remove("UNSET");
        command
    };
    let ran = crate::support::finish(&mut command("run", "1"));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let ran: Value = serde_json::from_str(&ran.out).expect("JSON");
    let file = |stage: &str, port: &str| {
        let stages = ran["stages"].as_array().expect("stages");
        let made = stages.iter().find(|one| one["name"] == stage).expect("the stage");
        let path = made["outputs"][port]["path"].as_str().unwrap_or_else(|| panic!("{made}"));
        fs::read_to_string(path).expect("an object")
    };
    let request: Value = serde_json::from_str(&file("b", "request")).expect("a request");
    let keys: Vec<&String> = request.as_object().expect("an object").keys().collect();
    let mut named =
        ["stage", "kind", "params", "inputs", "outputs", "seed", "threads", "gpus", "state", "events", "version"];
    named.sort_unstable();
    let mut found: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, named);
    assert_eq!((&request["stage"], &request["kind"]), (&"p/b".into(), &"copy".into()));
    assert_eq!(request["seed"], serde_json::json!(18446744073709551615_u64));
    assert_eq!(
        request["params"],
        serde_json::json!({"seed": 18446744073709551615_u64, "list": [], "flag": true, "x": 1.0})
    );
    assert_eq!((&request["threads"], &request["version"]), (&1.into(), &1.into()));
    assert_eq!(request["gpus"], serde_json::json!([]), "it needs none");
    assert_eq!(request["inputs"]["one"]["form"], "file");
    assert!(request["inputs"].get("two").is_none() && request["outputs"]["more"]["path"].is_string());
    let environment = file("b", "env");
    let variable = |name: &str| environment.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
    assert_eq!([variable("STRATA_THREADS"), variable("OMP_NUM_THREADS")], [Some("1"), Some("1")]);
    assert_eq!([variable("OURS"), variable("THEIRS"), variable("UNSET")], [Some("1"), None, None]);
    assert_eq!(variable("CUDA_VISIBLE_DEVICES"), Some(""));
    assert!(variable("TMPDIR").is_some_and(|folder| !std::path::Path::new(folder).exists()), "it is gone");
    let root = project.path("").canonicalize().expect("the root").display().to_string();
    assert_eq!(file("a", "pwd").lines().collect::<Vec<_>>(), [root.trim_end_matches('/'), "{not} {} true"]);

    let plan = |ours: &str| crate::support::finish(&mut command("plan", ours)).out;
    let (same, other) = (plan("1"), plan("2"));
    assert!(
        same.contains("\"cached\": 2") && other.contains("\"cached\": 0"),
        "a named variable is in the key\n{same}{other}"
    );
}

#[test]
fn gpus_are_handed_out_by_need() {
    let project = Project::with(
        r#"
[kind.ask]
run = "sh -c 'echo $CUDA_VISIBLE_DEVICES; sleep 0.3; : > {outputs.none}'"
outputs = { none = "file" }
params = { n = 0 }
[stage.a]
kind = "ask"
needs = { gpu = 1 }
[stage.b]
kind = "ask"
needs = { gpu = 1 }
n = 1
[stage.both]
kind = "ask"
needs = { gpu = 2 }
n = 2
"#,
    );
    let ran = crate::support::finish(
        project.command().args(["run", "pipelines/p.toml", "-j3"]).env("CUDA_VISIBLE_DEVICES", "4,7"),
    );
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let log = |stage: &str| project.done(&["log", "pipelines/p.toml", stage]).out;
    let mut single = [log("a"), log("b")];
    single.sort();
    assert_eq!((single[0].trim(), single[1].trim(), log("both").trim()), ("4", "7", "4,7"));
}

#[test]
fn what_a_program_says_is_kept() {
    let project = project(CHAIN);
    project.done(&["run", "pipelines/p.toml", "--events", "events.jsonl"]);
    let events = fs::read_to_string(project.path("events.jsonl")).expect("events");
    assert!(events.contains("\"metric\":\"total\"") || events.contains("\"name\":\"total\""), "{events}");
    assert!(events.contains("\"unit\":\"line\""), "{events}");
    let Ran { out, .. } = project.done(&["log", "pipelines/p.toml", "first"]);
    assert_eq!(out, "writes 3 lines\n");
    let out = project.done(&["log", "pipelines/p.toml", "second"]).out;
    assert!(out.contains("series steps: 1: 3") && out.contains("metric total: 3"), "{out}");
    let json = project.json(&["log", "pipelines/p.toml", "first"]);
    let entry = &json["stages"][0];
    assert_eq!(
        (&entry["log"], &entry["kind"], &entry["cached"]),
        (&json!("writes 3 lines\n"), &json!("lines"), &json!(true))
    );
    assert_eq!((&entry["params"], &entry["axes"]), (&json!({ "count": 3, "word": "a" }), &json!({})));
    assert_eq!(json["missing"], json!([]));
    let made = &entry["outputs"]["text"];
    assert_eq!((&made["form"], &made["bytes"]), (&json!("file"), &json!(6)));
    assert_eq!(fs::read_to_string(text(&made["path"])).expect("the output"), "a\na\na\n");
    assert!(project.strata(&["log", "pipelines/p.toml", "first", "-S", "first.count=9"]).err.contains("has not run"));
    let table = project.json(&["table", "pipelines/p.toml"]);
    assert_eq!(table["rows"][0]["metrics"]["total"], 3.0);
    let schema = project.done(&["schema", "lines"]).out;
    assert!(schema.contains("kind = \"lines\"") && schema.contains("what a line says"), "{schema}");
    let schema = project.done(&["schema"]).out;
    assert!(schema.contains("what a line says") && schema.contains("\"const\": \"count\""));
}

#[test]
fn artifacts_of_programs_are_checked_by_their_form() {
    let kind = |form: &str, script: &str| {
        let project = Project::with(&format!(
            "[kind.k]\nrun = [\"sh\", \"-c\", '''{script}''']\noutputs = {{ out = \"{form}\" }}\n[stage.s]\nkind = \"k\"\n"
        ));
        let ran = project.strata(&["run", "pipelines/p.toml"]);
        let table = project.json(&["table", "pipelines/p.toml"]);
        assert!(ran.code == Some(1) && table["rows"] == json!([]), "{table}\n{}{}", ran.out, ran.err);
        ran.err
    };
    let said = kind("features", "printf hello > {outputs.out}");
    assert!(said.contains("its output `out` is no features artifact"), "{said}");
    // A safetensors file without tensors: the length of its header, and the header.
    let empty = "printf '\\002\\000\\000\\000\\000\\000\\000\\000{}' > {outputs.out}";
    let said = kind("labels", empty);
    assert!(said.contains("no labels artifact") && said.contains("labels"), "{said}");
    let said = kind("matrix", "mkdir {outputs.out}");
    assert!(said.contains("its output `out` is not a file"), "{said}");
    let said = kind("file", "echo x > \"$(dirname {outputs.out})/outt\"");
    assert!(said.contains("without its output `out`") && said.contains("there is `outt`"), "{said}");
}

#[test]
fn a_stage_can_be_tried_by_hand() {
    let project = project(CHAIN);
    let ran = project.done(&["try", "lines", "-S", "count=4", "-S", "word=b", "-o", "tried"]);
    assert!(ran.out.contains("writes 4 lines\n") && ran.out.contains("tried/text"), "{}", ran.out);
    assert_eq!(fs::read_to_string(project.path("tried/text")).expect("an output"), "b\nb\nb\nb\n");
    assert!(!project.path("cache").exists(), "it leaves no trace in the cache");
    let ran = project.done(&["try", "count", "--input", "text=tried/text"]);
    assert!(ran.out.contains("total: 4\n"), "{}", ran.out);
    assert_eq!(fs::read_to_string(project.path("try-count/total")).expect("an output"), "4\n");
    assert_eq!(
        fs::read_dir(project.path("try-count")).expect("a folder").count(),
        1,
        "an output, and it printed nothing"
    );

    for (args, what) in [
        (&["try", "lines", "-S", "word=c"][..], "must be one of \"a\", \"b\""),
        (&["try", "lines", "-S", "cuont=1"], "did you mean `count`?"),
        (&["try", "count"], "no input `text`"),
        (&["try", "count", "--input", "test=tried/text"], "there are `text`"),
        (&["try", "count", "--input", "text=nowhere"], "nowhere"),
        (&["try", "counts"], "did you mean `count`?"),
    ] {
        let ran = project.strata(args);
        assert!(ran.code == Some(2) && ran.err.contains(what), "{args:?}: {}", ran.err);
    }
    project.write("kinds/lines.sh", "echo no such thing >&2; exit 4");
    let ran = project.strata(&["try", "lines"]);
    assert!(ran.code == Some(1) && ran.err.contains("exit code 4") && ran.err.contains("no such thing"), "{}", ran.err);
    assert_eq!(fs::read_to_string(project.path("try-lines/log.txt")).expect("a log"), "no such thing\n");
    project.write("pipelines/q.toml", "[kind.lines]\nrun = \"true\"\n");
    let ran = project.strata(&["try", "lines"]);
    assert!(ran.code == Some(2) && ran.err.contains("choose one with `--file FILE`"), "{}", ran.err);
    project.done(&["try", "lines", "--file", "pipelines/q.toml"]);
}

#[test]
fn a_kind_of_strata_can_be_tried_too() {
    let project = Project::with(crate::support::NEIGHBOURS);
    project.done(&["run", "pipelines/p.toml"]);
    let table = project.json(&["table", "pipelines/p.toml", "knn"]);
    let accuracy = table["rows"][0]["metrics"]["test_accuracy"].as_f64().expect("a number");
    project.done(&["export", "pipelines/p.toml", "train", "-o", "out"]);
    project.done(&["export", "pipelines/p.toml", "test", "-o", "out"]);
    let inputs = ["train=out/train.features.safetensors", "test=out/test.features.safetensors"];
    let ran = project.done(&["try", "knn_probe", "--input", inputs[0], "--input", inputs[1]]);
    let said = ran.out.lines().find_map(|line| line.strip_prefix("test_accuracy: ")).expect("it reports");
    assert!((said.parse::<f64>().expect("a number") - accuracy).abs() < 1e-3, "{}", ran.out);
}

/// Each of these once gave an earlier result without a word.
#[test]
fn what_is_easily_missed_is_in_the_key_too() {
    let kind = |run: &str, rest: &str| {
        format!("[kind.k]\nrun = {run}\noutputs = {{ out = \"file\" }}\n{rest}\n[stage.s]\nkind = \"k\"\n")
    };
    let made = |project: &Project, more: &[&str]| {
        let args: Vec<&str> = ["run", "pipelines/p.toml"].iter().chain(more).copied().collect();
        let ran = project.json(&args);
        let path = text(&ran["stages"][0]["outputs"]["out"]["path"]);
        fs::read_to_string(path).expect("an object").trim().to_owned()
    };
    // A file beside the project, and one that `run` names beside `files`.
    let project = Project::with(&kind("\"sh k.sh {outputs.out}\"", "files = [\"sub/../other.sh\"]"));
    project.write("sub/x", "");
    for (file, text) in [("k.sh", ". ./other.sh; echo \"k $value\" > $1"), ("other.sh", "value=1")] {
        project.write(file, text);
    }
    assert_eq!(made(&project, &[]), "k 1");
    project.write("other.sh", "value=2");
    assert_eq!(made(&project, &[]), "k 2");
    project.write("k.sh", ". ./other.sh; echo \"new $value\" > $1");
    assert_eq!(made(&project, &[]), "new 2");

    // The type of a number.
    let project = Project::with(&kind(
        "\"sh -c 'echo {params.n} {params.l} > {outputs.out}'\"",
        "params = { n = 2.0, l = [2.0] }",
    ));
    assert_eq!(made(&project, &[]), "2.0 [2.0]");
    project.edit("pipelines/p.toml", "n = 2.0", "n = 2");
    assert_eq!(made(&project, &[]), "2 [2.0]");
    assert_eq!(made(&project, &["-S", "s.l=[2]"]), "2 [2]");

    // Language and time zone are the same everywhere.
    let project = Project::with(&kind("\"sh -c 'echo $LC_ALL $TZ > {outputs.out}'\"", ""));
    assert_eq!(made(&project, &[]), "C.UTF-8 UTC");

    // A seed that the request could not hold.
    let project = Project::with(&kind("\"true\"", "params = { seed = 0.5 }"));
    assert!(project.strata(&["check", "pipelines/p.toml"]).err.contains("must be a whole number from 0"));
}

#[test]
fn mistakes_in_a_declaration_are_found_before_any_work() {
    let check = |kind: &str| {
        let project =
            project(&format!("[kind.k]\n{kind}\noutputs = {{ out = \"file\" }}\n\n[stage.s]\nkind = \"k\"\n"));
        let ran = project.strata(&["check", "pipelines/p.toml"]);
        (ran.code, ran.out + &ran.err)
    };
    let run = "run = \"sh kinds/lines.sh\"";
    for (kind, what) in [
        (format!("{run}\nfiles = [\"kinds/lines.sh\", \"kinds/none*.py\"]"), "`kinds/none*.py`: there is no such file"),
        (format!("{run}\nparams = {{ \"a b\" = 1 }}"), "`a b` cannot be the name of a parameter"),
        (format!("{run}\ninputs = {{ \"../x\" = \"file\" }}"), "`../x` cannot be the name of a port"),
        (format!("{run}\nparams = {{ a = nan }}"), "finite"),
        (format!("{run}\nparams = {{ a = {{ default = inf }} }}"), "finite"),
        (format!("{run}\nparams = {{ a = [1.0, nan] }}"), "finite"),
        (format!("{run}\nparams = {{ a = {{ default = 5, max = 3 }} }}"), "`params.a.default`"),
        (format!("{run}\nparams = {{ a = {{ default = \"x\", choices = [\"y\"] }} }}"), "must be one of"),
        (format!("{run}\nparams = {{ a = {{ default = \"x\", min = 3 }} }}"), "`min` and `max` are for numbers"),
        (format!("{run}\nparams = {{ a = {{ default = 3, min = 3, max = 2 }} }}"), "no number is from 3 to 2"),
        (format!("{run}\nenvironment = [\"A=B\"]"), "a list of names of variables"),
        ("run = [\"sh\", \"kinds/lines.sh\", \"{params.a b}\"]".to_owned(), "`params` has no `a b`"),
        ("run = [\"sh\", \"kinds/lines.sh\", \"{ params.a }\"]".to_owned(), "is no placeholder"),
        ("run = \"sh kinds/lines.sh {params.a b}\"".to_owned(), "`{params.a…}` is no placeholder"),
    ] {
        let (code, said) = check(&kind);
        assert!(code == Some(2) && said.contains(what), "{kind}: {said}");
        assert!(said.contains("--> pipelines/p.toml:"), "{kind}: {said}");
    }
    for kind in ["run = \"python -m kinds.lines\"", "run = [\"sh\", \"-c\", \"sh kinds/lines.sh\"]"] {
        let (code, said) = check(kind);
        assert!(
            code == Some(0) && said.contains("changes to the program of kind `k` are not noticed"),
            "{kind}: {said}"
        );
        let (code, said) = check(&format!("{kind}\nfiles = []"));
        assert!(code == Some(0) && !said.contains("not noticed"), "{kind}: {said}");
    }
}
