//! Mistakes that users make: the data-driven pairs of `tests/errors/`, and what goes wrong at run time.
//!
//! A pair is NAME.toml and the NAME.stderr that it must give. The pipeline file is `pipelines/NAME.toml` in an empty
//! project, and the command is `strata run` of it, with the further arguments of a first line `# args: …`. With
//! `STRATA_BLESS=1` in the environment, the .stderr files are written in place of compared.

use std::{fs, path::Path};

use crate::support::{Project, finish};

#[test]
fn every_mistake_is_named_with_its_place() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors");
    let bless = std::env::var_os("STRATA_BLESS").is_some();
    let entries = fs::read_dir(&folder).expect("the folder of pairs").map(|entry| entry.expect("an entry").path());
    let (mut files, mut answers): (Vec<_>, Vec<_>) =
        entries.partition(|path| path.extension().is_some_and(|e| e == "toml"));
    files.sort();
    answers.sort();
    let expected: Vec<_> = files.iter().map(|file| file.with_extension("stderr")).collect();
    assert!(
        !files.is_empty() && (bless || answers == expected),
        "each NAME.toml has a NAME.stderr, and nothing else is there"
    );

    let mut wrong = Vec::new();
    for file in files {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).expect("a pipeline file");
        let project = Project::new();
        let pipeline = format!("pipelines/{name}.toml");
        project.write(&pipeline, &text);
        let more = text.lines().next().and_then(|line| line.strip_prefix("# args: ")).unwrap_or_default();
        let args: Vec<&str> = ["run", &pipeline].into_iter().chain(more.split_whitespace()).collect();
        let ran = project.strata(&args);
        assert_eq!(ran.code, Some(2), "{name}\n{}{}", ran.out, ran.err);
        assert_eq!(ran.out, "", "{name} prints to standard output");
        assert!(!project.path("cache").exists(), "{name} writes something");
        let expected = file.with_extension("stderr");
        if bless {
            fs::write(&expected, &ran.err).expect("the pair can be written");
        } else if fs::read_to_string(&expected).unwrap_or_default() != ran.err {
            wrong.push(format!("{name}:\n{}", ran.err));
        }
    }
    assert!(wrong.is_empty(), "STRATA_BLESS=1 accepts these:\n\n{}", wrong.join("\n"));
}

#[test]
fn a_missing_pipeline_file_is_a_mistake_of_the_command_line() {
    let project = Project::new();
    let ran = project.strata(&["run", "pipelines/none.toml"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.starts_with("error: failed to read the pipeline file pipelines/none.toml: "), "{}", ran.err);
    let ran = project.strata(&["run", "pipelines"]);
    assert_eq!(ran.code, Some(2), "a folder\n{}", ran.err);
    project.write("pipelines/binary.toml", [0xff, 0xfe, 0x00]);
    assert_eq!(project.strata(&["check", "pipelines/binary.toml"]).code, Some(2));
}

#[test]
fn a_script_reads_the_mistakes() {
    let project = Project::with("[stage.images]\nkind = \"dataset\"\ntran = 20\n\n[stage.x]\nkind = \"kmean\"\n");
    let ran = project.strata(&["check", "pipelines/p.toml", "--output", "json"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    let answer: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON on standard output");
    let mistakes = answer["mistakes"].as_array().expect("a list");
    let places: Vec<_> = mistakes.iter().map(|m| (m["file"].as_str(), m["line"].as_u64())).collect();
    assert_eq!(places, [3, 6].map(|line| (Some("pipelines/p.toml"), Some(line))), "{}", ran.out);
    for (mistake, help) in mistakes.iter().zip(["train", "kmeans"]) {
        let message = mistake["message"].as_str().expect("a message");
        assert!(ran.err.contains(message) && mistake["column"].as_u64() > Some(0), "{mistake}");
        assert!(mistake["help"].as_str().is_some_and(|text| text.contains(help)), "{mistake}");
    }
    project.write("pipelines/p.toml", "[stage.images]\nkind = \"dataset\"\n");
    let fine = project.json(&["check", "pipelines/p.toml"]);
    assert_eq!((&fine["mistakes"], &fine["stages"]), (&serde_json::json!([]), &1.into()));
}

#[test]
fn a_sweep_that_is_not_chosen_is_checked_too() {
    let sweeps = "[sweep.sizes]\n\"images.train\" = [20, \"many\"]\n\n[sweep.more]\n\"images.seed\" = [1, 2]\n";
    let project = Project::with(&format!("[stage.images]\nkind = \"dataset\"\ntrain = 20\n\n{sweeps}"));
    let mistaken = |place: &str| {
        let ran = project.strata(&["check", "pipelines/p.toml"]);
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        assert!(ran.err.contains(place) && ran.err.contains("error: 1 mistake in pipelines/p.toml"), "{}", ran.err);
    };
    mistaken("pipelines/p.toml:6:");
    project.done(&["run", "pipelines/p.toml", "-q"]);
    project.edit("pipelines/p.toml", "\"many\"", "30");
    project.done(&["check", "pipelines/p.toml"]);
    // What is wrong in all of them is said once.
    project.edit("pipelines/p.toml", "train = 20", "tran = 20");
    mistaken("pipelines/p.toml:3:");
}

#[test]
fn the_command_line_is_checked() {
    let project = Project::with("[stage.images]\nkind = \"dataset\"\ntrain = 20\ntest = 10\n");
    let file = "pipelines/p.toml";
    let wrong: [&[&str]; 8] = [
        &["run", file, "-j", "0"],
        &["run", file, "--device", "gpu"],
        &["run", file, "--device", "cpu,cpu"],
        &["run", file, "--device", "cpu,cuda:0"],
        &["run", file, "--output", "yaml"],
        &["run"],
        &["frobnicate"],
        &["why", file, "imges"],
    ];
    for args in wrong {
        let ran = project.strata(args);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{args:?}\n{}", ran.err);
    }
    if !cfg!(feature = "cuda") {
        let ran = project.strata(&["run", file, "--device", "cuda:0"]);
        assert_eq!(ran.code, Some(2));
        assert!(ran.err.contains("--features cuda"), "{}", ran.err);
    }
    assert!(!project.path("cache").exists());
}

#[test]
fn a_cache_that_cannot_be_written_is_named_before_any_work() {
    let project = Project::with("[stage.images]\nkind = \"dataset\"\ntrain = 20\ntest = 10\n");
    // A file where a folder should be stops the superuser too, unlike permissions.
    project.write("file", "");
    let ran = project.strata(&["run", "pipelines/p.toml", "--cache-dir", "file/cache"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("error: cannot ") && ran.err.contains("file/cache"), "{}", ran.err);
}

#[test]
fn a_full_disk_fails_the_stage_and_spares_the_cache() {
    let project = Project::with(
        "[stage.images]\nkind = \"dataset\"\ntrain = 20\ntest = 10\n\
         [stage.pixels]\nkind = \"encode\"\ninputs = { images = \"images.train\" }\n",
    );
    // No file may grow beyond 64 KiB: images fit (3 KiB each), pixels as f32 do not. The limit gives an error in place
    // of a signal once the signal is ignored, as writing to a full disk does.
    let script = "trap '' XFSZ; ulimit -f 128; exec \"$0\" run pipelines/p.toml";
    let mut limited = std::process::Command::new("sh");
    limited
        .args(["-c", script, env!("CARGO_BIN_EXE_strata")])
        .current_dir(project.path(""))
        .env_remove("STRATA_CACHE_DIR");
    let ran = finish(&mut limited);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("     ran  images"), "{}", ran.err);
    assert!(ran.err.contains("  failed  pixels") && ran.err.contains("cache/objects/"), "{}", ran.err);
    let objects = |project: &Project| {
        let cache = project.cache().into_iter();
        cache.filter(|(path, _)| path.starts_with("objects")).collect::<Vec<_>>()
    };
    for (path, bytes) in objects(&project) {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert_eq!(name, blake3::hash(&bytes).to_hex().as_str(), "a half-written object");
    }
    // With room again, what is there is used, and the rest is as in a cache that never saw trouble.
    let words = project.words("run", &[]);
    assert_eq!(words, [("images".into(), "cached".into()), ("pixels".into(), "ran".into())]);
    let fresh = Project::with(&fs::read_to_string(project.path("pipelines/p.toml")).expect("a file"));
    fresh.done(&["run", "pipelines/p.toml"]);
    assert!(objects(&project) == objects(&fresh));
}
