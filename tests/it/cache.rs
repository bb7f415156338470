//! Editing one value runs exactly what depends on it, with the real kinds and the binary.

use std::collections::BTreeSet;

use crate::support::{Project, text};

const ALL: &str = include_str!("all_kinds.toml");
const FILE: &str = "pipelines/p.toml";

/// The stages whose code a run of the present file enters.
fn entered(project: &Project) -> BTreeSet<String> {
    project.words("run", &[]).into_iter().filter(|(_, word)| word != "cached").map(|(name, _)| name).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn an_edit_runs_what_depends_on_it() {
    let project = Project::with(ALL);
    assert!(entered(&project).len() > 10);
    assert_eq!(entered(&project), set(&[]), "nothing changed");

    // batch_size leaves dae, latent and clusters as they are.
    let batches = "[stage.batches]\nkind = \"sampler\"\ninputs = { labels = \"clusters.labels\" }\nbatch_size = 16";
    project.edit(FILE, batches, &batches.replace("16", "20"));
    let below = ["batches", "simclr", "train_features", "test_features", "probe", "knn", "fine_tune"];
    assert_eq!(entered(&project), set(&below));
    let why = project.done(&["why", FILE, "batches"]);
    assert!(why.out.contains("cached"), "{}", why.out);

    // Going back to the old value finds the old results.
    project.edit(FILE, &batches.replace("16", "20"), batches);
    let why = project.done(&["why", FILE, "batches"]);
    assert_eq!(entered(&project), set(&[]), "{}", why.out);

    project.edit(FILE, "k = 10", "k = 11");
    assert_eq!(entered(&project), set(&["knn"]));

    // `why` names the field, both values and the line, before anything runs.
    project.edit(FILE, "clusters = 5", "clusters = 6");
    let line = std::fs::read_to_string(project.path(FILE)).expect("the file").lines().position(|l| l == "clusters = 6");
    let why = project.done(&["why", FILE, "clusters"]);
    let place = format!("{FILE}:{}:", line.expect("the line") + 1);
    assert!(why.out.contains("clusters: 5 -> 6") && why.out.contains(&place), "{}", why.out);
}

#[test]
fn what_does_not_matter_changes_nothing() {
    let project = Project::with(ALL);
    project.done(&["run", FILE]);
    let same = [
        ALL.replace("[stage.dae]\n", "# a comment\n[stage.dae]   # another\n"),
        ALL.replace("epochs = 2\nbatch_size = 16", "batch_size   = 16\nepochs = 2"),
        ALL.replace("latent", "hidden"),
        ALL.replace("clusters = 5\n", "clusters = 5\nnormalize = \"none\"\nbalanced = false\n"),
        ALL.replace("negatives = \"mask\"", "temperature = 0.5\nnegatives = \"mask\""),
        ALL.replace("[pipeline]\nname = \"all-kinds\"", "[pipeline]\nname = \"another-name\""),
    ];
    for file in same {
        project.write(FILE, &file);
        assert_eq!(entered(&project), set(&[]), "{file}");
    }
}

#[test]
fn a_nested_table_changes_what_it_names_and_nothing_else() {
    let project = Project::with(ALL);
    project.done(&["run", FILE]);
    let written = [
        "scratch.optimizer.kind=sgd",
        "scratch.augment.flip=0.5",
        "simclr.optimizer.momentum=0.9",
        "simclr.schedule.warmup_epochs=1.0",
        "fine_tune.augment.scope=image",
    ];
    for set in written {
        let words = project.words("run", &["-S", set]);
        assert!(words.iter().all(|(_, word)| word == "cached"), "{set} is a default written out: {words:?}");
    }
}

#[test]
fn a_sweep_shares_what_its_axes_do_not_reach() {
    let swept = format!("{ALL}\n[sweep]\n\"clusters.clusters\" = [4, 5, 6]\n\"batches.batch_size\" = [10, 16]\n");
    let project = Project::with(&swept);
    let count = |words: &[(String, String)], stage: &str| {
        words.iter().filter(|(name, _)| name.split('@').next() == Some(stage)).count()
    };
    let plan = project.words("plan", &[]);
    assert!(!project.path("cache").exists(), "a plan writes nothing");
    let run = project.words("run", &[]);
    for words in [&plan, &run] {
        for (stage, times) in [("images", 1), ("noise", 1), ("dae", 1), ("latent", 1), ("clusters", 3), ("batches", 6)]
        {
            assert_eq!(count(words, stage), times, "{stage}");
        }
        assert_eq!(count(words, "simclr"), 6);
    }
    let ran = run.iter().filter(|(_, word)| word == "ran").count();
    assert_eq!(ran, plan.len(), "the plan said how many: {run:?}");
    // An eighth of a grid more runs only what is its own.
    project.edit(FILE, "[4, 5, 6]", "[4, 5, 6, 7]");
    let more = entered(&project);
    assert!(more.iter().all(|name| name.contains("clusters.clusters=7")), "{more:?}");
}

#[test]
fn image_files_count_by_content() {
    let project = Project::with(
        "[stage.images]\nkind = \"dataset\"\nsource = \"image_folder\"\npath = \"photos\"\nsize = 8\n\n\
         [stage.pixels]\nkind = \"encode\"\ninputs = { images = \"images.train\" }\n",
    );
    let paint = |name: &str, shade: u8| {
        let path = project.path("photos").join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        image::RgbImage::from_pixel(8, 8, image::Rgb([shade, 0, 0])).save(path).expect("saved");
    };
    for (at, name) in ["train/cat/1.png", "train/dog/1.png", "test/cat/1.png", "test/dog/1.png"].iter().enumerate() {
        paint(name, 10 * at as u8);
    }
    assert_eq!(entered(&project), set(&["images", "pixels"]));
    assert_eq!(entered(&project), set(&[]));
    paint("train/cat/1.png", 0);
    assert_eq!(entered(&project), set(&[]), "a file that is written again with its content is no change");
    paint("test/cat/1.png", 200);
    let why = project.done(&["why", FILE, "images"]);
    assert!(why.out.contains("path"), "{}", why.out);
    assert_eq!(entered(&project), set(&["images"]), "the training images are the same bytes, so `pixels` stays");
}

#[test]
fn a_cached_run_enters_no_stage() {
    let project = Project::with(ALL);
    let first = project.done(&["run", FILE]);
    let second = project.done(&["run", FILE, "--events", "events.jsonl"]);
    let events = std::fs::read_to_string(project.path("events.jsonl")).expect("events");
    assert!(!events.contains("stage_started"), "{events}");
    let table =
        |out: &str| out.lines().take_while(|line| !line.contains(" in ")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(table(&first.out), table(&second.out), "the same table");
    let statuses = project.json(&["run", FILE]);
    assert!(statuses["stages"].as_array().expect("stages").iter().all(|stage| text(&stage["status"]) == "cached"));
}
