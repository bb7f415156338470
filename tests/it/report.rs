//! `strata report` and `strata export --figures`: the page holds everything, opens in a browser and answers the pointer.

use std::fs;

use serde_json::Value;
use strata::store::Store;

use crate::{
    browser::Browser,
    support::{NEIGHBOURS, Project},
};

const FILE: &str = r#"
[pipeline]
name = "small study"

[stage.images]
kind = "dataset"
train = 80
test = 40
size = 16

[stage.noise]
kind = "noise"
inputs = { images = "images.train" }

[stage.dae]
kind = "dae"
inputs = { clean = "images.train", noisy = "noise.images" }
channels = [4, 8]
epochs = 2

[stage.latent]
kind = "encode"
inputs = { weights = "dae.weights", images = "images.train" }

[stage.clusters]
kind = "kmeans"
inputs = { features = "latent.features" }
clusters = 4
runs = 1

[stage.batches]
kind = "sampler"
inputs = { labels = "clusters.labels" }
batch_size = 16
rounds = 2

[stage.simclr]
kind = "simclr"
inputs = { images = "images.train", batches = "batches.batches" }
encoder = { kind = "resnet", n = 1, width = 0.25 }
head = [8]
epochs = 2

[stage.train]
kind = "encode"
inputs = { weights = "simclr.weights", images = "images.train" }

[stage.test]
kind = "encode"
inputs = { weights = "simclr.weights", images = "images.test" }

[stage.probe]
kind = "linear_probe"
inputs = { train = "train.features", test = "test.features" }
at = "p3"

[sweep]
"clusters.clusters" = [4, 8]
"batches.batch_size" = [8, 16]
"batches.policy" = ["random", "stratified"]
seeds = 2
vary = ["simclr"]
"#;

fn made() -> (Project, String) {
    let project = Project::with(FILE);
    project.done(&["run", "pipelines/p.toml", "-q", "-j", "2"]);
    project.done(&["report", "pipelines/p.toml", "-o", "page.html"]);
    let page = fs::read_to_string(project.path("page.html")).expect("a page");
    (project, page)
}

#[test]
fn a_page_holds_everything() {
    let (project, page) = made();
    // What Plotly can load on demand is in its own source.
    let ours: String = page.split("<script>").map(|part| part.rsplit("</script>").next().unwrap_or_default()).collect();
    for network in ["src=\"http", "href=\"http", "url(http", "@import", "<link"] {
        assert!(!ours.contains(network), "{network}");
    }
    for section in ["Results", "Sweeps", "Curves", "Images", "Stages", "Provenance"] {
        assert!(page.contains(&format!("<h2>{section}</h2>")), "{section}");
    }
    for figure in [
        "test-accuracy",
        "simclr-loss",
        "probe-test-accuracy-map",
        "probe-test-accuracy-over-batches-batch-size",
        "axes",
        "time",
    ] {
        assert!(page.contains(&format!("id=\"{figure}\"")), "{figure}");
    }
    let said = "batches.policy=stratified against random: ";
    assert!(page.contains(said) && page.contains("over 2 seeds; p = "), "the difference in words");
    assert!(
        page.contains("reconstructions") && page.contains("augmentation") && page.contains("taken for something else")
    );
    // Mistakes have their class and what they were taken for, by the names of the classes.
    let (_, tiles) = page.split_once("<figure class=\"tiles\">").expect("mistakes");
    let words: Vec<&str> = tiles.split("<span>").skip(1).filter_map(|part| part.split('<').next()).collect();
    assert!(!words.is_empty() && words.iter().all(|words| words.contains(" → ")), "{words:?}");
    assert!(words[0].split(" → ").all(|class| class.parse::<u32>().is_err()), "names, not numbers: {}", words[0]);
    // A policy of the sampler is varied, so its rates are drawn, after what the pipeline asks.
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}"));
    assert!(at("id=\"test-accuracy\"") < at("id=\"false-negative-rate-predicted\""));
    for row in ["command", "machines", "vector instructions", "git commit of the project", "strata"] {
        assert!(page.contains(&format!("<td class=\"name\">{row}</td>")), "{row}");
    }
    assert!(page.contains("strata run pipelines/p.toml"));
    // Of repetitions the first is shown.
    assert!(page.contains("seed=0: confusions") && !page.contains("seed=1: confusions"));
    // Nothing that a user writes can end a script or become one.
    project.edit("pipelines/p.toml", "small study", "</script><b>study");
    project.done(&["report", "pipelines/p.toml", "-o", "page.html"]);
    let page = fs::read_to_string(project.path("page.html")).expect("a page");
    assert!(!page.contains("</script><b>study") && page.contains("&lt;/script&gt;&lt;b&gt;study"));
}

#[test]
fn without_results_there_is_no_page() {
    let project = Project::with(FILE);
    let refused = project.strata(&["report", "pipelines/p.toml", "-o", "page.html"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("no results are cached; `strata run pipelines/p.toml` makes them"), "{}", refused.err);
    assert!(!project.path("page.html").exists() && !project.path("cache").exists());
}

#[test]
fn figures_are_files_for_a_paper() {
    let project = Project::with(FILE);
    project.done(&["run", "pipelines/p.toml", "-q", "-j", "2"]);
    let written = project.done(&["export", "pipelines/p.toml", "--figures", "figures"]).out;
    let file = |name: &str| {
        fs::read(project.path(&format!("figures/{name}"))).unwrap_or_else(|_| panic!("{name} in {written}"))
    };
    for name in ["test-accuracy", "simclr-loss", "probe-test-accuracy-map", "axes", "false-negative-rate-predicted"] {
        let svg = String::from_utf8(file(&format!("{name}.svg"))).expect("text");
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{name}");
        assert_eq!(file(&format!("{name}.png"))[..8], *b"\x89PNG\r\n\x1a\n", "{name}");
    }
    assert!(String::from_utf8(file("table-1.tex")).expect("text").starts_with("\\begin{tabular}{lll"));
    // The same figures may be there, and nothing else.
    project.done(&["export", "pipelines/p.toml", "--figures", "figures"]);
    project.write("figures/axes.svg", "drawn by hand");
    let again = project.strata(&["export", "pipelines/p.toml", "--figures", "figures"]);
    assert!(again.code == Some(2) && again.err.contains("figures/axes.svg is there already"), "{}", again.err);
    assert_eq!(file("axes.svg"), b"drawn by hand");
    project.done(&["export", "pipelines/p.toml", "--figures", "figures", "--force"]);
    assert_ne!(file("axes.svg"), b"drawn by hand");
}

#[test]
fn figures_of_stages_that_are_spelt_alike_or_long_stay_apart() {
    let training = |name: &str, seed: u32| {
        format!(
            "[stage.{name}]\nkind = \"supervised\"\ninputs = {{ train = \"images.train\", test = \"images.test\" }}\n\
             encoder = {{ n = 1, width = 0.125 }}\nepochs = 2\nbatch_size = 8\nseed = {seed}\n\n"
        )
    };
    let images = "[stage.images]\nkind = \"dataset\"\ntrain = 16\ntest = 8\nsize = 8\n\n";
    let long = "l".repeat(250);
    let names = ["a_b", "a-b", "\"日本\"", "\"中文\"", &long];
    let stages: String = (0..).zip(names).map(|(seed, name)| training(name, seed)).collect();
    let project = Project::with(&format!("{images}{stages}"));
    project.done(&["run", "pipelines/p.toml", "-q"]);
    let said = project.done(&["export", "pipelines/p.toml", "--figures", "figures"]);
    let mut lines: Vec<&str> = said.out.lines().filter(|line| line.ends_with(".svg")).collect();
    let losses = lines.iter().filter(|line| line.contains("loss")).count();
    assert!(losses >= 4, "{}", said.out);
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), said.out.lines().filter(|line| line.ends_with(".svg")).count(), "{}", said.out);
    for line in said.out.lines() {
        assert!(project.path(line).exists() && line.len() <= 255 + "figures/".len(), "{line}");
    }
    let list = fs::read_to_string(project.path("figures/strata-names.csv")).expect("a list");
    assert!(list.contains(&format!("{long}: loss")), "{list}");
    // The page has an anchor for each.
    project.done(&["report", "pipelines/p.toml", "-o", "page.html"]);
    let page = fs::read_to_string(project.path("page.html")).expect("a page");
    let ids: Vec<&str> = page.split("<figure class=\"chart").skip(1).filter_map(|at| at.split('"').nth(2)).collect();
    assert!(ids.iter().all(|id| ids.iter().filter(|other| other == &id).count() == 1), "{ids:?}");
}

#[test]
fn numbers_that_are_none_are_gaps_that_are_told() {
    let images = "[stage.images]\nkind = \"dataset\"\ntrain = 16\ntest = 8\nsize = 8\n\n";
    let training = "[stage.net]\nkind = \"supervised\"\ninputs = { train = \"images.train\", test = \"images.test\" }\n\
                    encoder = { n = 1, width = 0.125 }\nepochs = 3\nbatch_size = 8\n\n[sweep]\n\"net.seed\" = [0, 1]\n\
                    \"net.batch_size\" = [4, 8]\n";
    let project = Project::with(&format!("{images}{training}"));
    project.done(&["run", "pipelines/p.toml", "-q"]);
    // A record of one that went wrong.
    let store = Store::open(project.path("cache"));
    let name = "net@net.seed=1,net.batch_size=8";
    let found = store.manifests().expect("manifests").into_iter();
    let mut manifest = found.map(|(_, made)| made).find(|made| made.provenance.instance.ends_with(name)).expect("one");
    for low in ["", "_low", "_high"] {
        manifest.metrics.insert(format!("test_accuracy{low}"), f64::NAN);
    }
    manifest.series.get_mut("loss").expect("a curve")[1].1 = f64::NAN;
    store.commit(&manifest).expect("committed");
    project.done(&["report", "pipelines/p.toml", "-o", "page.html"]);
    let page = fs::read_to_string(project.path("page.html")).expect("a page");
    assert!(page.contains("Values that are NaN or infinite are left out of seed=1, batch_size=8."), "the gap is told");
    assert!(page.contains(">NaN<"), "the table says NaN");
    let mut gaps = 0;
    for part in page.split("<script type=\"application/json\">").skip(1) {
        let (json, _) = part.split_once("</script>").expect("an end");
        let read: Value = serde_json::from_str(json).expect("JSON");
        gaps += usize::from(read["data"][0]["type"] == "scatter" && json.contains("null"));
    }
    assert_eq!(gaps, 3, "the curve of the loss, and the accuracy over two axes of numbers");
    project.done(&["export", "pipelines/p.toml", "--figures", "figures"]);
    let svg = fs::read_to_string(project.path("figures/net-loss.svg")).expect("a figure");
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "no drawing holds a number that is none");
    let bars = fs::read_to_string(project.path("figures/test-accuracy.svg")).expect("a figure");
    assert!(bars.contains("batch_size=8: NaN"), "{bars}");
    let diff = project.json(&["diff", "pipelines/p.toml", name, "net@net.seed=0,net.batch_size=8"]);
    let accuracy = diff["metrics"].as_array().expect("a list").iter().find(|one| one["name"] == "test_accuracy");
    assert_eq!(accuracy.expect("a difference")["a"], "NaN", "{diff}");
}

#[test]
fn a_report_that_cannot_be_written_leaves_the_old_one() {
    let project = Project::with(NEIGHBOURS);
    project.done(&["run", "pipelines/p.toml", "-q"]);
    project.write("page.html", "the old page");
    std::os::unix::fs::symlink("page.html", project.path("link.html")).expect("a link");
    for place in ["page.html", "link.html"] {
        let ran = project.limited("ulimit -f 64", &["report", "pipelines/p.toml", "-o", place]);
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        assert!(ran.err.contains(&format!("failed to write {place}: File too large")), "{}", ran.err);
        assert_eq!(fs::read(project.path("page.html")).expect("a file"), b"the old page");
    }
    let ours = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(".strata-");
    let left = fs::read_dir(project.path("")).expect("a folder").filter_map(Result::ok).filter(ours).count();
    assert_eq!(left, 0, "nothing is left beside it");
    // A link stays one, and what it leads to is replaced.
    project.done(&["report", "pipelines/p.toml", "-o", "link.html"]);
    assert!(project.path("link.html").is_symlink());
    assert!(fs::read_to_string(project.path("page.html")).expect("a page").starts_with("<!DOCTYPE html>"));
    // What is no file is written as it is.
    project.done(&["report", "pipelines/p.toml", "-o", "/dev/null", "-q"]);
    let refused = project.strata(&["report", "pipelines/p.toml", "-o", "pipelines"]);
    assert!(refused.code == Some(1) && refused.err.contains("failed to write pipelines: "), "{}", refused.err);
}

/// What a reader does.
const READER: &str = include_str!("reader.js");

#[test]
fn a_browser_shows_it() {
    let Some(mut browser) = Browser::start() else { return };
    let (project, _) = made();
    for width in [1400, 520] {
        browser.show(width, false);
        browser.open(&format!("file://{}", project.path("page.html").display()));
        let saw = browser.evaluate(READER);
        assert!(saw["figures"].as_u64() >= Some(8) && saw["figures"] == saw["drawn"], "{width}: {saw}");
        assert_eq!(saw["tooltip"], true, "{width}: {saw}");
        assert!(saw["before"][0] != saw["after"][0] && saw["before"][1] != saw["after"][1], "the theme: {saw}");
        assert_eq!((&saw["wide"], &browser.errors), (&Value::Array(vec![]), &Vec::new()), "{width}");
    }
}

#[test]
fn maps_are_coloured_by_clusters_of_their_own_images() {
    let (graph, _) = FILE.split_once("[sweep]").expect("a sweep");
    // As many test images as training images: a number alone does not tell them apart.
    let maps = r#"
[stage.seen]
kind = "tsne"
inputs = { features = "latent.features" }

[stage.unseen]
kind = "tsne"
inputs = { features = "test.features" }
at = "p3"
"#;
    let project = Project::with(&format!("{}{maps}", graph.replace("test = 40", "test = 80")));
    project.done(&["run", "pipelines/p.toml", "-q", "-j", "2"]);
    project.done(&["report", "pipelines/p.toml", "-o", "page.html"]);
    let page = fs::read_to_string(project.path("page.html")).expect("a page");
    for (title, is_there) in [
        ("seen: by class", true),
        ("seen: by cluster of clusters", true),
        ("unseen: by class", true),
        ("unseen: by cluster", false),
    ] {
        assert_eq!(page.contains(&format!("<h3>{title}")), is_there, "{title}");
    }
}

#[test]
fn of_many_arms_the_best_come_first() {
    let project = Project::with(&format!("{NEIGHBOURS}\n[sweep]\n\"knn.k\" = \"range(1, 30)\"\n"));
    project.done(&["run", "pipelines/p.toml", "-q"]);
    project.done(&["report", "pipelines/p.toml", "-o", "page.html"]);
    let page = fs::read_to_string(project.path("page.html")).expect("a page");
    let (_, table) = page.split_once("The 10 best of 30 by knn").expect("a table of the best");
    let (table, _) = table.split_once("</table>").expect("its end");
    let scores: Vec<f64> = table
        .split("<td class=\"number\">")
        .skip(1)
        .map(|cell| cell.split([' ', '<']).next().and_then(|score| score.parse().ok()).expect("a score"))
        .collect();
    let rows = project.json(&["table", "pipelines/p.toml"])["rows"].clone();
    let all = rows.as_array().expect("rows").iter().filter_map(|row| row["metrics"]["test_accuracy"].as_f64());
    let mut best: Vec<f64> = all.map(|score| (1000.0 * score).round() / 10.0).collect();
    best.sort_by(|a, b| b.total_cmp(a));
    assert_eq!(scores, best[..10]);
}

/// The JSON of the figure with this anchor.
fn figure(page: &str, name: &str) -> Value {
    let (_, figure) = page.split_once(&format!("id=\"{name}\"")).unwrap_or_else(|| panic!("no figure {name}"));
    let (_, json) = figure.split_once("<script type=\"application/json\">").expect("its numbers");
    serde_json::from_str(json.split_once("</script>").expect("an end").0).expect("JSON")
}

#[test]
fn a_page_leads_with_the_scores_of_all_final_stages() {
    let project = Project::with(&format!(
        "{NEIGHBOURS}\n[stage.clusters]\nkind = \"kmeans\"\ninputs = {{ features = \"train.features\" }}\nclusters = 4\nruns = 1\n\n\
         [stage.batches]\nkind = \"sampler\"\ninputs = {{ labels = \"clusters.labels\" }}\nbatch_size = 16\npolicy = \"stratified\"\n\n\
         [sweep]\n\"knn.k\" = [1, 5, 100]\n\"clusters.clusters\" = [2, 8]\n"
    ));
    project.done(&["run", "pipelines/p.toml", "-q"]);
    project.done(&["report", "pipelines/p.toml", "-o", "page.html"]);
    let page = fs::read_to_string(project.path("page.html")).expect("a page");
    // The clusters change the rates of the sampler, but nobody asks about it: neither it nor a mask is varied.
    assert!(!page.contains("false-negative-rate"), "no figure of what is not varied");
    let line = figure(&page, "knn-test-accuracy-over-knn-k");
    let trace = &line["data"][0];
    assert_eq!((&trace["x"], &line["layout"]["xaxis"]["type"]), (&serde_json::json!([1.0, 5.0, 100.0]), &"log".into()));
    let rows = project.json(&["table", "pipelines/p.toml", "knn"])["rows"].clone();
    let rows = rows.as_array().expect("rows");
    for (at, y) in trace["y"].as_array().expect("values").iter().enumerate() {
        let metrics = &rows.iter().find(|row| row["axes"]["knn.k"].as_f64() == trace["x"][at].as_f64()).expect("a row")
            ["metrics"];
        let of = |name: &str| 100.0 * metrics[name].as_f64().expect("a number");
        let close = |a: f64, b: &Value| (a - b.as_f64().expect("a number")).abs() < 1e-9;
        assert!(close(of("test_accuracy"), y), "{metrics}");
        assert!(close(of("test_accuracy_high") - of("test_accuracy"), &trace["error_y"]["array"][at]), "{metrics}");
        assert!(close(of("test_accuracy") - of("test_accuracy_low"), &trace["error_y"]["arrayminus"][at]), "{metrics}");
    }
    // The neighbours vote again for the picture of their mistakes.
    assert!(page.contains("knn, k=1: taken for something else"), "mistakes of a kNN probe");
}

#[test]
fn sixty_four_clusters_have_a_colour_each_on_a_map() {
    let project = Project::with(&format!(
        "{NEIGHBOURS}\n[stage.clusters]\nkind = \"kmeans\"\ninputs = {{ features = \"train.features\" }}\nclusters = 64\nruns = 1\n\n\
         [stage.map]\nkind = \"tsne\"\ninputs = {{ features = \"train.features\" }}\niterations = 20\n"
    ));
    project.done(&["run", "pipelines/p.toml", "-q"]);
    project.done(&["report", "pipelines/p.toml", "-o", "page.html"]);
    let page = fs::read_to_string(project.path("page.html")).expect("a page");
    let map = figure(&page, "map-cluster-of-clusters");
    let colours: Vec<String> =
        map["data"].as_array().expect("groups").iter().map(|group| group["marker"]["color"].to_string()).collect();
    let distinct: std::collections::BTreeSet<&String> = colours.iter().collect();
    assert_eq!((colours.len(), distinct.len()), (64, 64), "{colours:?}");
}

#[test]
fn what_a_page_leaves_out_is_said() {
    let project = Project::with(&format!("{NEIGHBOURS}\n[sweep]\n\"knn.k\" = \"range(1, 60)\"\n"));
    project.done(&["run", "pipelines/p.toml", "-q"]);
    project.done(&["report", "pipelines/p.toml", "-o", "page.html"]);
    let page = fs::read_to_string(project.path("page.html")).expect("a page");
    assert!(page.contains("a chart of 60 bars could not be read"), "bars");
    assert!(page.contains("Pictures of 57 more of these 60 `knn_probe` instances are left out."), "pictures");
}
