//! The command line as users and scripts meet it.

use std::{collections::BTreeSet, fs, process::Stdio, time::Duration};

use crate::support::{NEIGHBOURS, Project, finish, is_event, text};

/// Small and quick, with two axes and every sort of metric: pixels, clusters, batches, a probe.
const PIPELINE: &str = r#"
[pipeline]
name = "tiny"

[stage.images]
kind = "dataset"
train = 60
test = 30

[stage.pixels]
kind = "encode"
inputs = { images = "images.train" }

[stage.test_pixels]
kind = "encode"
inputs = { images = "images.test" }

[stage.clusters]
kind = "kmeans"
inputs = { features = "pixels.features" }
clusters = 4

[stage.batches]
kind = "sampler"
inputs = { labels = "clusters.labels" }
batch_size = 10
rounds = 2

[stage.probe]
kind = "knn_probe"
inputs = { train = "pixels.features", test = "test_pixels.features" }
k = 5

[sweep]
"batches.policy" = ["random", "stratified"]
"probe.k" = [1, 5]
"#;

const FILE: &str = "pipelines/p.toml";

#[test]
fn a_run_shows_what_it_did_and_the_second_does_nothing() {
    let project = Project::with(PIPELINE);
    let first = project.done(&["run", FILE]);
    assert!(first.err.contains("     ran  probe@probe.k=1 "), "{}", first.err);
    assert!(first.out.contains("test accuracy % [95 %]"), "{}", first.out);
    assert!(first.out.contains("0 cached, 8 ran in "), "{}", first.out);
    let cache = || {
        let files = project.cache().into_iter();
        files.filter(|(path, _)| !path.starts_with("runs-v1")).collect::<Vec<_>>()
    };
    let before = cache();

    let second = project.done(&["run", FILE]);
    assert_eq!(second.err.lines().count(), 8, "{}", second.err);
    assert!(second.err.lines().all(|line| line.starts_with("  cached  ")), "{}", second.err);
    let table = |out: &str| out.lines().take_while(|line| !line.contains(" cached, ")).map(str::to_owned).collect();
    let (one, two): (Vec<String>, Vec<String>) = (table(&first.out), table(&second.out));
    assert_eq!(one, two);
    assert!(cache() == before, "a run that found everything wrote more than the record of itself");
}

#[test]
fn the_documents_of_run_plan_and_table_have_their_fields() {
    let project = Project::with(PIPELINE);
    let plan = project.json(&["plan", FILE]);
    assert_eq!(plan["pipeline"], "tiny");
    assert_eq!(plan["counts"], serde_json::json!({"cached": 0, "run": 1, "waiting": 7}));
    let first = &plan["stages"][0];
    assert_eq!(
        (&first["name"], &first["kind"], &first["status"]),
        (&"images".into(), &"dataset".into(), &"run".into())
    );
    assert_eq!(first["reason"]["kind"], "new");
    assert_eq!(text(&first["key"]).len(), 64);
    assert!(first["seconds"].is_null() && plan["stages"][1]["key"].is_null());
    assert!(project.cache().is_empty(), "a plan writes nothing");

    let run = project.json(&["run", FILE]);
    assert_eq!(run["counts"], serde_json::json!({"cached": 0, "ran": 8, "resumed": 0, "failed": 0, "blocked": 0}));
    for stage in run["stages"].as_array().expect("a list") {
        assert_eq!(stage["status"], "ran");
        assert!(stage["seconds"].is_f64());
        for output in stage["outputs"].as_object().expect("a table").values() {
            let bytes = fs::read(text(&output["path"])).expect("the object lies where the document says");
            assert_eq!(output["bytes"], bytes.len());
            assert_eq!(output["hash"], blake3::hash(&bytes).to_hex().as_str());
        }
    }

    let table = project.json(&["table", FILE]);
    let rows = table["rows"].as_array().expect("a list");
    let of = |stage: &str| rows.iter().filter(|row| row["stage"] == stage).collect::<Vec<_>>();
    assert_eq!(of("probe").len(), 2);
    assert_eq!(of("probe")[1]["axes"], serde_json::json!({"probe.k": 5}));
    for name in ["test_accuracy", "test_accuracy_low", "test_accuracy_high"] {
        assert!(of("probe")[0]["metrics"][name].is_f64(), "{name}");
    }
    assert!(of("batches")[0]["metrics"]["false_negative_rate_expected"].is_f64());
    assert!(of("clusters")[0]["metrics"]["nmi"].is_f64());
    assert!(of("images").is_empty(), "what has no metrics is no row");
}

#[test]
fn a_plan_tells_by_its_exit_code_if_there_is_work() {
    let project = Project::with(PIPELINE);
    assert_eq!(project.strata(&["plan", FILE, "--exit-code"]).code, Some(3));
    assert_eq!(project.strata(&["plan", FILE]).code, Some(0));
    let dry = project.done(&["run", "-n", FILE]);
    assert_eq!(dry.out, project.done(&["plan", FILE]).out);
    project.done(&["run", FILE, "-q"]);
    assert_eq!(project.strata(&["plan", FILE, "--exit-code"]).code, Some(0));
    project.edit(FILE, "clusters = 4", "clusters = 5");
    let plan = project.strata(&["plan", FILE, "--exit-code"]);
    assert_eq!(plan.code, Some(3));
    assert!(plan.out.contains("     run  clusters (clusters: 4 -> 5)"), "{}", plan.out);
    assert!(plan.out.contains("expected to take"), "the price is what it took last time\n{}", plan.out);
}

#[test]
fn targets_until_and_force_choose_what_runs() {
    let project = Project::with(PIPELINE);
    let names = |words: Vec<(String, String)>| words.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(project.words("plan", &["clusters"])), ["images", "pixels", "clusters"]);
    assert_eq!(names(project.words("plan", &["--until", "pixels"])), ["images", "pixels"]);
    assert_eq!(names(project.words("plan", &["clusters", "--until", "pixels"])), ["images", "pixels"]);
    assert_eq!(
        names(project.words("plan", &["probe@probe.k=5"])),
        ["images", "pixels", "test_pixels", "probe@probe.k=5"]
    );
    project.done(&["run", FILE, "clusters"]);
    let forced = project.words("run", &["clusters", "-f"]);
    let words: Vec<&str> = forced.iter().map(|(_, word)| word.as_str()).collect();
    assert_eq!(words, ["cached", "cached", "ran"]);
}

/// A comma inside the value of an axis parts nothing.
#[test]
fn a_target_may_hold_a_list() {
    let dae = r#"
[stage.images]
kind = "dataset"

[stage.dae]
kind = "dae"
inputs = { clean = "images.train", noisy = "images.train" }
"#;
    let project = Project::with(dae);
    let sweep = ["-S", "dae.channels=[4,8],[8,16]", "-S", "dae.epochs=1,2"];
    let plan = project.words("plan", &[&sweep[..], &["dae@dae.epochs=2,dae.channels=[4,8]"]].concat());
    let names: Vec<&str> = plan.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["images", "dae@dae.channels=[4,8],dae.epochs=2"]);
}

#[test]
fn overrides_set_values_and_make_axes() {
    let project = Project::with(PIPELINE);
    let plan = project.words("plan", &["-S", "clusters.clusters=2,3", "-S", "probe.k=7"]);
    let names: Vec<&str> = plan.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"clusters@clusters.clusters=3"), "{names:?}");
    assert!(names.contains(&"batches@batches.policy=random,clusters.clusters=2"), "{names:?}");
    assert!(names.contains(&"probe"), "an axis with one value given is none\n{names:?}");
}

#[test]
fn why_names_the_field_both_values_and_the_line() {
    let project = Project::with(PIPELINE);
    project.done(&["run", FILE, "-q"]);
    let cached = project.done(&["why", FILE, "clusters"]).out;
    assert!(cached.starts_with("  cached  clusters\n"), "{cached}");
    assert!(cached.contains("made by tiny/clusters in "), "{cached}");

    project.edit(FILE, "clusters = 4", "clusters = 6");
    let own = project.done(&["why", FILE, "clusters"]).out;
    assert!(own.contains("clusters: 4 -> 6\n"), "{own}");
    assert!(own.contains("--> pipelines/p.toml:21:12  clusters = 6\n"), "{own}");

    let below = project.json(&["why", FILE, "batches@batches.policy=random"]);
    let stage = &below["stages"][0];
    assert_eq!(stage["status"], "waiting");
    let cause = &stage["causes"][0];
    assert_eq!(cause["path"], serde_json::json!(["clusters", "batches@batches.policy=random"]));
    let reason = serde_json::json!({"kind": "param", "path": "clusters", "old": 4, "new": 6,
        "place": {"file": "pipelines/p.toml", "line": 21, "column": 12}});
    assert_eq!(cause["reasons"], serde_json::json!([reason]));

    // Once the changed stage ran, other content comes in below: the cause is still that change.
    project.done(&["run", FILE, "clusters", "-q"]);
    let below = project.json(&["why", FILE, "batches@batches.policy=random"]);
    let stage = &below["stages"][0];
    assert_eq!((&stage["status"], &stage["reasons"][0]["kind"]), (&"run".into(), &"input".into()));
    assert_eq!(stage["reasons"][0]["port"], "labels");
    assert_eq!(stage["causes"][0]["reasons"], serde_json::json!([reason]));
}

#[test]
fn diff_finds_what_differs_above() {
    let project = Project::with(PIPELINE);
    project.done(&["run", FILE, "-q"]);
    let (a, b) = ("batches@batches.policy=random", "batches@batches.policy=stratified");
    let diff = project.json(&["diff", FILE, a, b]);
    let parameter = serde_json::json!({"name": "batches.policy", "a": "random", "b": "stratified"});
    assert_eq!(diff["parameters"], serde_json::json!([parameter]));
    let metrics: Vec<String> = diff["metrics"].as_array().expect("a list").iter().map(|m| text(&m["name"])).collect();
    assert!(metrics.contains(&"same_cluster_rate".to_owned()), "{metrics:?}");
    assert_eq!(project.done(&["diff", FILE, a, a]).out, format!("{a} and {a} do not differ\n"));
    let several = project.strata(&["diff", FILE, "probe", a]);
    assert_eq!(several.code, Some(2));
    assert!(several.err.contains("probe@probe.k=1"), "{}", several.err);
}

#[test]
fn export_copies_outputs_and_spares_what_is_there() {
    let project = Project::with(PIPELINE);
    let early = project.strata(&["export", FILE, "clusters", "-o", "out"]);
    assert_eq!(early.code, Some(1));
    assert!(early.err.contains("strata run pipelines/p.toml clusters"), "{}", early.err);
    project.done(&["run", FILE, "-q"]);

    let said = project.done(&["export", FILE, "clusters.labels", "-o", "out"]).out;
    assert_eq!(said, "out/clusters.labels.safetensors\n");
    let bytes = fs::read(project.path("out/clusters.labels.safetensors")).expect("the file is there");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("plain safetensors");
    assert_eq!(tensors.tensor("labels").expect("labels").shape(), [60]);

    project.done(&["export", FILE, "clusters.labels", "-o", "out"]);
    project.write("out/clusters.labels.safetensors", "something else");
    let again = project.strata(&["export", FILE, "clusters", "-o", "out"]);
    assert_eq!(again.code, Some(2));
    assert!(again.err.contains("out/clusters.labels.safetensors is there already"), "{}", again.err);
    assert_eq!(fs::read(project.path("out/clusters.labels.safetensors")).expect("a file"), b"something else");
    assert!(
        !project.path("out/clusters.centroids.safetensors").exists(),
        "nothing is written if anything is in the way"
    );
    project.done(&["export", FILE, "clusters", "-o", "out", "--force"]);
    assert!(project.path("out/clusters.centroids.safetensors").exists());
    assert_eq!(project.strata(&["export", FILE, "clusters.label", "-o", "out"]).code, Some(2));
}

#[test]
fn exports_of_names_that_no_file_can_have_stay_apart() {
    let long = "contrastive_pretraining_with_a_long_name";
    let stage = NEIGHBOURS.replace("[stage.knn]", &format!("[stage.{long}]\nat = \"pixels\""));
    let axis = |parameter: &str, values: &str| format!("\"{long}.{parameter}\" = {values}\n");
    let longer =
        ["train", "test"].map(|port| format!("{port}_features_of_images_that_nobody_has_looked_at_before_this"));
    let stage = stage.replace("[stage.train]", &format!("[stage.{}]", longer[0]));
    let stage = stage.replace("[stage.test]", &format!("[stage.{}]", longer[1]));
    let stage = stage.replace("\"train.features\"", &format!("\"{}.features\"", longer[0]));
    let stage = stage.replace("\"test.features\"", &format!("\"{}.features\"", longer[1]));
    let levels = longer.map(|name| format!("\"{name}.batch_size\" = [10, 20]\n")).concat();
    let sweep = [axis("k", "[1, 5]"), axis("temperature", "[0.0700000001, 0.0700000002]"), levels].concat();
    let project = Project::with(&format!("{stage}\n[sweep]\n{sweep}"));
    project.done(&["run", FILE, "-q"]);
    let said = project.done(&["export", FILE, long, "-o", "out"]);
    let files: BTreeSet<&str> = said.out.lines().collect();
    assert_eq!((files.len(), said.out.lines().count()), (16, 16), "{}", said.out);
    for file in &files {
        assert!(project.path(file).exists() && file.len() <= 255 + "out/".len(), "{file}");
        assert!(file.starts_with(&format!("out/{long}@")) && file.ends_with(".confusion.safetensors"), "{file}");
    }
    // A list says which is which, and a later export of something else adds to it.
    let held = || {
        let list = fs::read_to_string(project.path("out/strata-names.csv")).expect("a list");
        let mut reader = csv::Reader::from_reader(list.as_bytes());
        reader
            .records()
            .map(|row| row.expect("a row"))
            .map(|row| (row[0].to_owned(), row[1].to_owned()))
            .collect::<Vec<_>>()
    };
    let listed = held();
    assert_eq!(listed.len(), 16, "{listed:?}");
    let plan = project.words("plan", &[]);
    assert!(listed.iter().all(|(file, holds)| {
        files.contains(format!("out/{file}").as_str()) && plan.iter().any(|(instance, _)| instance == holds)
    }));
    assert!(said.err.contains("out/strata-names.csv lists what the files with changed names hold"), "{}", said.err);
    // The names are the same the next time, and of one alone.
    assert_eq!(project.done(&["export", FILE, long, "-o", "out"]).out, said.out);
    let one = project.done(&["export", FILE, &listed[3].1, "-o", "alone"]).out;
    assert_eq!(one, format!("alone/{}\n", listed[3].0));
    assert_eq!(held(), listed);
}

#[test]
fn exports_of_paths_stay_apart() {
    let image = image::RgbImage::from_pixel(8, 8, image::Rgb([90, 0, 0]));
    let dataset = "[stage.images]\nkind = \"dataset\"\nsource = \"image_folder\"\npath = \"d/a\"\nsize = 8\n";
    let project = Project::with(&format!("{dataset}\n[sweep]\n\"images.path\" = [\"d/a\", \"d_a\"]\n"));
    for (at, folder) in ["d/a", "d_a"].iter().enumerate() {
        for name in ["train/cat/1.png", "train/dog/1.png", "test/cat/1.png", "test/dog/1.png"] {
            project.write(&format!("{folder}/{name}"), "");
            image.save(project.path(&format!("{folder}/{name}"))).expect("saved");
        }
        project.write(&format!("{folder}/train/cat/2.png"), "");
        image::RgbImage::from_pixel(8, 8, image::Rgb([at as u8, 1, 1]))
            .save(project.path(&format!("{folder}/train/cat/2.png")))
            .expect("saved");
    }
    project.done(&["run", FILE, "-q"]);
    let said = project.done(&["export", FILE, "images.train", "-o", "out"]).out;
    let contents: BTreeSet<Vec<u8>> = said.lines().map(|file| fs::read(project.path(file)).expect("a file")).collect();
    assert_eq!((said.lines().count(), contents.len()), (2, 2), "{said}");
    assert!(said.contains("out/images@images.path=d_a.train.safetensors\n"), "{said}");
    // A link is another name of the object, also where a file was.
    let linked = project.done(&["export", FILE, "images.train", "-o", "out", "--link", "--force"]).out;
    assert_eq!(linked, said);
    for file in said.lines() {
        use std::os::unix::fs::MetadataExt;
        assert!(fs::metadata(project.path(file)).expect("a file").nlink() > 1, "{file}");
    }
    project.done(&["export", FILE, "images.train", "-o", "out", "--link", "--force"]);
    let names = fs::read_dir(project.path("out")).expect("a folder").count();
    assert_eq!(names, 3, "two files and the list");
}

#[test]
fn a_full_disk_leaves_no_half_of_a_file() {
    let project = Project::with(PIPELINE);
    project.done(&["run", FILE, "-q"]);
    project.done(&["export", FILE, "images.train", "-o", "out"]);
    let whole = fs::read(project.path("out/images.train.safetensors")).expect("a file");
    project.write("out/images.train.safetensors", "an older file");
    let ran = project.limited("ulimit -f 8", &["export", FILE, "images.train", "-o", "out", "--force"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("failed to write out/images.train.safetensors: File too large"), "{}", ran.err);
    assert_eq!(fs::read(project.path("out/images.train.safetensors")).expect("a file"), b"an older file");
    assert_eq!(fs::read_dir(project.path("out")).expect("a folder").count(), 1);
    project.done(&["export", FILE, "images.train", "-o", "out", "--force"]);
    assert_eq!(fs::read(project.path("out/images.train.safetensors")).expect("a file"), whole);

    let ran = project.limited("ulimit -f 0", &["init", "pipelines/new.toml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(!project.path("pipelines/new.toml").exists());
    project.done(&["init", "pipelines/new.toml"]);
    assert_eq!(project.strata(&["init", "pipelines/new.toml"]).code, Some(2), "what is there stays");
}

#[test]
fn names_with_odd_characters_are_one_row_in_every_table() {
    let odd = [r"a|b", r"a\\|b", r"tab\there", r"line\nbreak", r"rtl\u202Eabc", r"zero\u200Bwidth", "_x_", "<b>"];
    let mut k = 0;
    let knn = |name: &str| {
        k += 1;
        format!(
            "[stage.\"{name}\"]\nkind = \"knn_probe\"\nk = {k}\ninputs = {{ train = \"train.features\", test = \"test.features\" }}\n"
        )
    };
    let (images, _) = NEIGHBOURS.split_once("[stage.knn]").expect("neighbours");
    let project = Project::with(&format!("{images}{}", odd.map(knn).concat()));
    let run = project.done(&["run", FILE]);
    let is_end = |line: &&str| line.starts_with("     ran  ") || line.starts_with("  cached  ");
    let lines = run.err.lines().filter(is_end).count();
    assert_eq!(lines, 3 + odd.len(), "a line for each\n{}", run.err);
    let count = |format: &str| project.done(&["table", FILE, "--output", format]).out;
    let markdown = count("markdown");
    assert_eq!(markdown.lines().count(), 2 + odd.len(), "{markdown}");
    for line in markdown.lines() {
        let bars = line.replace(r"\\", "").replace(r"\|", "").matches('|').count();
        assert_eq!(bars, 3, "{line}");
    }
    let shown = [
        r"| a\|b ",
        r"| a\\\|b ",
        r"| tab\\there ",
        r"| line\\nbreak ",
        r"| rtl\\u{202e}abc ",
        r"| \_x\_ ",
        r"| \<b> ",
    ];
    assert!(shown.iter().all(|cell| markdown.contains(cell)), "{markdown}");
    assert_eq!(count("latex").lines().count(), 6 + odd.len());
    let text = count("text");
    assert_eq!(text.lines().filter(|line| line.contains('[')).count(), 1 + odd.len(), "{text}");
    assert!(text.contains(r" line\nbreak ") && text.contains(r" zero\u{200b}width "), "{text}");
    // Other programs read the names as they are.
    let rows = project.json(&["table", FILE])["rows"].clone();
    assert!(rows.as_array().expect("rows").iter().any(|row| row["stage"] == "line\nbreak"), "{rows}");
    let csv = count("csv");
    let rows: Vec<csv::StringRecord> =
        csv::Reader::from_reader(csv.as_bytes()).records().map(|row| row.expect("a row")).collect();
    assert!(rows.len() == odd.len() && rows.iter().any(|row| &row[0] == "a\\|b"), "{csv}");
    let list = project.done(&["cache", "ls"]).out;
    assert_eq!(list.lines().count(), 2 + 3 + odd.len(), "{list}");
}

#[test]
fn events_are_lines_of_json_in_their_order() {
    let project = Project::with(PIPELINE);
    project.done(&["run", FILE, "--events", "events.jsonl"]);
    let lines = fs::read_to_string(project.path("events.jsonl")).expect("a file of events");
    let events: Vec<serde_json::Value> = lines.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let names: Vec<String> = events.iter().map(|event| text(&event["event"])).collect();
    assert_eq!((names[0].as_str(), names[1].as_str()), ("run_started", "stage_started"));
    assert_eq!(names.last().map(String::as_str), Some("run_finished"));
    assert_eq!(names.iter().filter(|name| *name == "stage_finished").count(), 8);
    assert!(names.contains(&"metric".to_owned()) && names.contains(&"progress".to_owned()), "{names:?}");
    for event in &events {
        let time = text(&event["time"]);
        let format = &time::format_description::well_known::Rfc3339;
        assert!(time::OffsetDateTime::parse(&time, format).is_ok(), "{time}");
    }
    let progress = events.iter().find(|event| event["event"] == "progress").expect("one");
    for field in ["instance", "done", "total", "unit"] {
        assert!(!progress[field].is_null(), "{field}");
    }
}

#[test]
fn tables_come_in_four_forms() {
    let project = Project::with(PIPELINE);
    let empty = project.done(&["table", FILE]);
    assert_eq!(empty.out, "");
    assert!(empty.err.contains("no results are cached"), "{}", empty.err);
    project.done(&["run", FILE, "-q"]);
    let csv = project.done(&["table", FILE, "--output", "csv"]).out;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let headers = reader.headers().expect("headers").clone();
    assert_eq!(headers.iter().take(4).collect::<Vec<_>>(), ["stage", "instance", "batches.policy", "probe.k"]);
    assert_eq!(reader.records().count(), 5, "clusters, two batches, two probes\n{csv}");
    let markdown = project.done(&["table", FILE, "--output", "markdown"]).out;
    assert!(markdown.starts_with("| stage | k | test accuracy % [95 %] |\n|"), "{markdown}");
    let wide = project.done(&["table", FILE, "-v"]).out;
    assert!(wide.contains(" sampler\n") && wide.contains(" kmeans\n"), "{wide}");
    assert!(wide.lines().all(|line| line.chars().count() <= 120), "{wide}");
}

#[test]
fn a_graph_can_be_drawn() {
    let project = Project::with(PIPELINE);
    let text = project.done(&["graph", FILE]).out;
    assert!(text.contains("clusters (kmeans)\n    features <- pixels features\n"), "{text}");
    let dot = project.done(&["graph", FILE, "--format", "dot"]).out;
    assert!(dot.contains("[label = \"probe@probe.k=5\\nknn_probe\"]"), "{dot}");
    let mermaid = project.done(&["graph", FILE, "--format", "mermaid", "--stages"]).out;
    assert_eq!(mermaid.matches("knn_probe").count(), 1, "{mermaid}");
}

#[test]
fn the_cache_can_be_looked_into() {
    let project = Project::with(PIPELINE);
    assert_eq!(project.strata(&["cache", "size"]).code, Some(2), "there is none yet");
    let run = project.json(&["run", FILE]);
    let list = project.json(&["cache", "ls"])["work"].clone();
    let mut keys: Vec<String> = list.as_array().expect("a list").iter().map(|entry| text(&entry["key"])).collect();
    let mut ran: Vec<String> = run["stages"].as_array().expect("a list").iter().map(|s| text(&s["key"])).collect();
    keys.sort();
    ran.sort();
    assert_eq!(keys, ran);
    let size = project.json(&["cache", "size"]);
    let objects = project.cache().into_iter().filter(|(path, _)| path.starts_with("objects"));
    assert_eq!(size["bytes"], objects.map(|(_, bytes)| bytes.len()).sum::<usize>());
    assert_eq!(size["manifests"], 8);
    assert!(size["total"].as_u64() > size["bytes"].as_u64() && size["states"] == 0, "{size}");
}

#[test]
fn the_cache_lies_where_flag_or_environment_say() {
    let project = Project::with(PIPELINE);
    project.done(&["run", FILE, "pixels", "-q", "--cache-dir", "elsewhere"]);
    assert!(project.path("elsewhere/objects").is_dir() && !project.path("cache").exists());
    let ran =
        finish(project.command().args(["run", FILE, "pixels"]).env("STRATA_CACHE_DIR", project.path("elsewhere")));
    assert!(ran.out.contains("2 cached, 0 ran"), "{}", ran.out);
    // From any folder, the default is at the project's root.
    let ran = finish(project.command().current_dir(project.path("pipelines")).args(["run", "p.toml", "images", "-q"]));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(project.path("cache/objects").is_dir());
}

#[test]
fn a_starter_file_is_sound_and_never_overwritten() {
    let project = Project::new();
    project.done(&["init"]);
    let checked = project.done(&["check", "pipelines/starter.toml"]).out;
    assert!(checked.starts_with("ok: 10 stages, "), "{checked}");
    project.write("pipelines/starter.toml", "mine");
    assert_eq!(project.strata(&["init"]).code, Some(2));
    assert_eq!(fs::read_to_string(project.path("pipelines/starter.toml")).expect("a file"), "mine");
}

#[test]
fn colour_is_shown_when_asked_for() {
    let project = Project::with(PIPELINE);
    let plain = project.done(&["plan", FILE]).out;
    assert!(!plain.contains('\x1b'));
    let colored = project.done(&["plan", FILE, "--color", "always"]).out;
    assert!(colored.contains("\x1b["));
    let none = finish(project.command().args(["plan", FILE]).env("NO_COLOR", "1").env("CLICOLOR_FORCE", "1"));
    assert!(!none.out.contains('\x1b'), "{}", none.out);
}

#[test]
fn quiet_leaves_the_results_and_failures() {
    let project = Project::with(PIPELINE);
    let ran = project.done(&["run", FILE, "-q"]);
    assert_eq!(ran.err, "");
    assert!(ran.out.contains("test accuracy") && !ran.out.contains("cached"), "{}", ran.out);
}

#[test]
fn help_schema_and_completions_are_printed() {
    let project = Project::new();
    let help = project.done(&["--help"]).out;
    for verb in "run plan why check graph table diff export cache schema init completions".split(' ') {
        assert!(help.contains(&format!("\n  {verb}")), "{verb}\n{help}");
        assert!(project.done(&[verb, "--help"]).out.contains("Usage: strata"), "{verb}");
    }
    let schema: serde_json::Value = serde_json::from_str(&project.done(&["schema"]).out).expect("JSON");
    assert!(schema["properties"]["stage"].is_object());
    assert!(project.done(&["schema", "knn_probe"]).out.contains("\n[stage.knn_probe]\nkind = \"knn_probe\"\n"));
    let unknown = project.strata(&["schema", "knn_prob"]);
    assert!(unknown.code == Some(2) && unknown.err.contains("did you mean `knn_probe`?"), "{}", unknown.err);
    let form = project.done(&["schema", "--form", "features"]).out;
    assert!(
        form.contains("\n  labels: u32 [N], optional: ") && form.contains("\n  classes: array of strings, optional: "),
        "{form}"
    );
    assert!(project.strata(&["schema", "--form", "feature"]).err.contains("forms are images, features, labels"));
    assert!(project.done(&["completions", "bash"]).out.contains("strata"));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let project = Project::with(PIPELINE);
    let mut child =
        project.command().args(["schema"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn an_interrupted_run_says_so_and_leaves_a_sound_cache() {
    let slow = format!(
        "{PIPELINE}{}",
        "[stage.long]\nkind = \"supervised\"\ninputs = { train = \"images.train\", test = \"images.test\" }\nepochs = 100000\n"
    );
    let project = Project::with(&slow);
    let events = project.path("events.jsonl");
    let mut command = project.command();
    command.args(["run", FILE, "long", "--events", "events.jsonl"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("it");
    let started = |text: &str| text.lines().any(|line| is_event(line, "progress", "long"));
    while !fs::read_to_string(&events).is_ok_and(|text| started(&text)) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(killed.success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("blocked  long (interrupted)"), "{said}");
    assert_eq!(project.words("run", &["images"]), [("images".to_owned(), "cached".to_owned())]);
}
