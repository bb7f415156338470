//! The page of `strata serve` in a browser: while a run is under way, with thousands of results, on a phone.

use std::{collections::BTreeMap, path::PathBuf, process::Stdio, sync::Arc};

use serde_json::{Value, json};
use strata::{results::Estimate, store::Store};

use crate::{
    browser::Browser,
    serve::Served,
    support::{NEIGHBOURS, Project, is_event, lines_come, text},
};

/// A training that lasts until it is stopped.
const LONG: &str = r#"
[pipeline]
name = "long"

[stage.images]
kind = "dataset"
train = 64
test = 32
size = 8

[stage.net]
kind = "supervised"
inputs = { train = "images.train", test = "images.test" }
encoder = { kind = "resnet", n = 1, width = 0.125 }
epochs = 100000
batch_size = 32

[stage.features]
kind = "encode"
inputs = { weights = "net.weights", images = "images.test" }
"#;

/// The page of a project in a browser, with a mark that a reload would wipe out.
fn opened(served: &Served, at: &str) -> Option<Browser> {
    let mut browser = Browser::start()?;
    browser.show(1400, false);
    browser.open(&served.url(at));
    browser.evaluate("window.mark = 'here'");
    Some(browser)
}

/// Nothing went wrong in the page, and nobody else was asked for anything.
fn clean(served: &Served, browser: &mut Browser) {
    assert_eq!(browser.evaluate("window.mark"), "here", "it was not loaded again");
    assert_eq!(browser.errors, Vec::<String>::new());
    let ours = |url: &&String| !url.starts_with(&served.url("/")) && !url.starts_with("data:");
    assert_eq!(browser.requests.iter().filter(ours).collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(browser.requests.len() > 5, "requests are seen");
}

#[test]
fn a_page_lives_while_a_run_does_and_shows_that_it_was_killed() {
    let project = Project::with(LONG);
    let served = Served::of(&project, &["pipelines/p.toml"]);
    let Some(mut browser) = opened(&served, "/") else { return };
    browser.wait_for("document.body.innerText.includes('No run is recorded')");
    let mut command = project.command();
    command.args(["run", "pipelines/p.toml", "-q", "--events", "events.jsonl", "--threads", "1"]);
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    assert!(lines_come(&project.path("events.jsonl"), &mut run, 3, |line| is_event(line, "metric", "net")));

    // The run appears by itself, and its curve grows.
    let points = "Number(document.querySelector('.card.live figure.chart')?.dataset.points || 0)";
    let seen = browser.wait_for(points).as_u64().expect("points");
    browser.wait_for(&format!("{points} > {}", seen + 2));
    browser.wait_for("document.querySelector('.card.live .working')?.innerText.includes('epoch')");
    let id = text(&browser.evaluate("document.querySelector('[data-run]').dataset.run"));
    // So it does on the page of the run, where every part shows that it is under way.
    browser.open(&served.url(&format!("/#/run/{id}/curves")));
    let own = "Number(document.querySelector('figure.chart')?.dataset.points || 0)";
    let seen = browser.wait_for(own).as_u64().expect("points");
    browser.wait_for(&format!("{own} > {}", seen + 2));
    browser.open(&served.url(&format!("/#/run/{id}/graph")));
    browser.wait_for("document.querySelectorAll('.cell.running').length === 1");
    browser.open(&served.url(&format!("/#/run/{id}/log")));
    let lines = "document.querySelector('pre.log')?.innerText.split('\\n').length || 0";
    let seen = browser.wait_for(lines).as_u64().expect("lines");
    browser.wait_for(&format!("({lines}) > {}", seen + 2));

    run.kill().expect("it is killed");
    run.wait().expect("it ends");
    browser.wait_for("document.querySelector('.status.lost') !== null");
    browser.open(&served.url("/#/"));
    browser.wait_for("document.querySelector('[data-run] .status.lost') !== null");
    browser.wait_for("document.querySelector('.card.live') === null");
    browser.open(&served.url(&format!("/#/run/{id}")));
    let words = browser.wait_for("document.querySelector('table[aria-label=Instances]')?.innerText.includes('lost') && document.querySelector('table[aria-label=Instances]').innerText");
    assert!(text(&words).contains("not run"), "{words}");
    clean(&served, &mut browser);
}

/// Keeps a picture of what the browser shows, for people to look at, if `STRATA_PICTURES` names a folder.
fn keep(browser: &mut Browser, name: &str) {
    if let Some(folder) = std::env::var_os("STRATA_PICTURES") {
        browser.picture(&PathBuf::from(folder).join(format!("{name}.png")));
    }
}

/// Types into the filter, and returns the milliseconds until the rows are laid out.
fn filter(browser: &mut Browser, text: &str) -> f64 {
    let text = json!(text);
    let took = browser.evaluate(&format!(
        "(() => {{ const field = document.querySelector('input[type=search]'); const start = performance.now();
        field.value = {text}; field.dispatchEvent(new Event('input'));
        document.querySelector('main').getBoundingClientRect(); return performance.now() - start; }})()"
    ));
    took.as_f64().expect("milliseconds")
}

const NOTE: &str = "document.querySelector('p[role=status]')?.innerText";

/// The cells of a column that are in view, from the top.
fn cells(browser: &mut Browser, header: &str) -> Vec<String> {
    let header = json!(header);
    let found = browser.evaluate(&format!(
        "(() => {{ const at = [...document.querySelectorAll('.grid-table th')].findIndex((th) => th.innerText.replace(/ [↑↓]/, '') === {header});
        return at < 0 ? null : [...document.querySelectorAll('.grid-table tbody tr:not(.space)')].map((row) => row.children[at].innerText); }})()"
    ));
    found.as_array().unwrap_or_else(|| panic!("a column {header}")).iter().map(text).collect()
}

fn press_header(browser: &mut Browser, header: &str) {
    let key = json!(header);
    browser.evaluate(&format!(
        "document.querySelector('.grid-table th button[data-column=' + CSS.escape({key}) + ']').click()"
    ));
}

#[test]
fn two_thousand_results_are_sorted_filtered_and_drawn() {
    let project = Project::with(&format!("[pipeline]\nname = \"p\"\n{NEIGHBOURS}"));
    project.done(&["run", "pipelines/p.toml", "-q"]);
    // As if that many runs had been.
    let store = Store::open(project.path("cache"));
    let found = store.manifests().expect("manifests").into_iter().map(|(_, made)| made);
    let mut made = found.into_iter().find(|made| made.recipe.kind == "knn_probe").expect("one");
    for number in 0..2000_u32 {
        let mut params = (*made.recipe.params).clone();
        params["k"] = json!(1000 + number);
        params["temperature"] = json!(f64::from(number % 4 + 1) / 10.0);
        made.recipe.params = Arc::new(params);
        made.metrics = BTreeMap::from([("test_accuracy".to_owned(), f64::from(number * 7 % 2000) / 2000.0)]);
        store.commit(&made).expect("committed");
    }
    let served = Served::of(&project, &["pipelines/p.toml"]);
    let Some(mut browser) = opened(&served, "/#/results") else { return };
    browser.wait_for(&format!("{NOTE}?.startsWith('2001 of 2001 results of knn')"));
    let rows = "document.querySelectorAll('.grid-table tbody tr').length";
    assert!(browser.evaluate(rows).as_u64() < Some(120), "only rows in view are elements");
    keep(&mut browser, "results");

    let took = filter(&mut browser, "k>=2000 temperature=0.1");
    assert_eq!(browser.evaluate(NOTE), "250 of 2001 results of knn");
    // The limit is what people wait for without a thought; it takes some milliseconds.
    assert!(took < 1000.0, "{took} ms");
    println!("2,001 results are filtered in {took:.0} ms");
    filter(&mut browser, "nothing-is-called-so");
    assert!(text(&browser.evaluate(NOTE)).starts_with("0 of 2001"));
    for (words, why) in [
        ("kk=3", "no column is called kk"),
        ("k>many", "k> needs a number"),
        ("test_accuracy>50", "test_accuracy is a fraction: write 0.5 for 50 %"),
    ] {
        filter(&mut browser, words);
        assert_eq!(browser.evaluate("document.querySelector('main p[role=alert]').innerText"), why);
    }
    filter(&mut browser, "");
    let sorted = "document.querySelector('th[aria-sort]')?.getAttribute('aria-sort')";
    press_header(&mut browser, "m:test_accuracy");
    assert_eq!(browser.evaluate(sorted), "descending", "the best first");
    let best: Vec<f64> =
        cells(&mut browser, "test_accuracy %").iter().map(|cell| cell.parse().expect("a number")).collect();
    assert!(best.len() > 10 && best.is_sorted_by(|a, b| a >= b) && best[0] > 99.0, "{best:?}");
    press_header(&mut browser, "m:test_accuracy");
    assert_eq!(browser.evaluate(sorted), "ascending");
    // What is far below is there as soon as it is in view.
    browser.evaluate("document.querySelector('.grid-table').scrollTop = 1e9");
    browser
        .wait_for("document.querySelector('.grid-table tbody tr:last-child').getAttribute('aria-rowindex') === '2002'");
    // By keys alone: from the filter to a header, and sort.
    browser.evaluate("document.querySelector('input[type=search]').focus()");
    for _ in 0..20 {
        browser.press("Tab", None);
        if browser.evaluate("document.activeElement.dataset.column === 'p:knn.k'") == true {
            break;
        }
    }
    browser.press("Enter", Some("\r"));
    assert_eq!(browser.evaluate("document.querySelector('th[aria-sort] button').dataset.column"), "p:knn.k");
    assert_eq!(browser.evaluate("document.activeElement.dataset.column"), "p:knn.k", "the focus stays");
    browser.evaluate("document.querySelector('[data-of=\"p:knn.temperature\"]').click()");
    let heads = browser.evaluate("[...document.querySelectorAll('.grid-table th')].map((th) => th.innerText).join()");
    assert!(!text(&heads).contains("temperature"), "{heads}");

    for (view, drawn) in [("line", "path.line"), ("parallel", "path.thread"), ("heatmap", "rect")] {
        browser.evaluate(&format!("document.querySelector('[data-view={view}]').click()"));
        browser.wait_for(&format!("document.querySelectorAll('figure.chart {drawn}').length"));
        keep(&mut browser, view);
    }
    // A view has an address.
    assert!(text(&browser.evaluate("location.hash")).ends_with("/heatmap"));
    clean(&served, &mut browser);
}

#[test]
fn every_view_fits_a_phone_and_shows_what_is_there() {
    let sweep = "\n[sweep]\n\"knn.k\" = [1, 3, 5]\n\"images.train\" = [60, 120]\n";
    let project = Project::with(&format!("{NEIGHBOURS}{sweep}"));
    project.done(&["run", "pipelines/p.toml", "-q"]);
    project.edit("pipelines/p.toml", "[1, 3, 5]", "[1, 3, 5, 7]");
    project.done(&["run", "pipelines/p.toml", "-q", "-S", "images.seed=1"]);
    let served = Served::of(&project, &[]);
    let runs = served.json("/api/runs")["runs"].clone();
    let (new, old) = (text(&runs[0]["id"]), text(&runs[1]["id"]));
    let Some(mut browser) = opened(&served, "/") else { return };
    let views = [
        ("runs", "#/".to_owned(), "document.querySelectorAll('[data-run]').length === 2"),
        ("run", format!("#/run/{new}"), "document.querySelectorAll('.grid-table tbody tr').length === 14"),
        ("curves", format!("#/run/{new}/curves"), "document.body.innerText.includes('No curve yet')"),
        ("graph", format!("#/run/{new}/graph"), "document.querySelectorAll('.cell.ran').length > 10"),
        ("report", format!("#/run/{new}/report"), "document.querySelector('iframe') !== null"),
        ("log", format!("#/run/{new}/log"), "document.querySelector('pre.log')?.innerText.includes('the run is over')"),
        ("file", format!("#/run/{new}/file"), "document.querySelector('pre.log')?.innerText.includes('[1, 3, 5, 7]')"),
        (
            "compare",
            format!("#/compare/{old}/{new}"),
            "document.querySelector('.diff .new')?.innerText.includes('7]') && document.body.innerText.includes('No curve')",
        ),
        ("table", "#/results".to_owned(), "document.querySelectorAll('.grid-table tbody tr').length === 14"),
    ];
    for (width, is_dark) in [(1400, false), (1400, true), (420, false), (420, true)] {
        browser.show(width, is_dark);
        for (name, at, is_there) in &views {
            browser.open(&served.url(&format!("/{at}")));
            browser.wait_for(is_there);
            let wide = browser.evaluate("document.documentElement.scrollWidth - innerWidth");
            assert!(wide.as_i64() <= Some(0), "{name} at {width}: {wide} pixels too wide");
            let unnamed = "[...document.querySelectorAll('button, input, select, a, svg[role=img]')].filter((one) =>
                !(one.innerText || one.getAttribute('aria-label') || one.labels?.length || one.textContent)).map((one) => one.outerHTML)";
            assert_eq!(browser.evaluate(unnamed), json!([]), "{name}: everything to use has a name");
            keep(&mut browser, &format!("{name}-{width}-{}", if is_dark { "dark" } else { "light" }));
        }
        let paper = text(&browser.evaluate("getComputedStyle(document.body).backgroundColor"));
        assert_eq!(paper == "rgb(255, 255, 255)", !is_dark, "{paper}");
    }
    // An instance of the graph shows what it depends on.
    browser.open(&served.url(&format!("/#/run/{new}/graph")));
    browser.wait_for("document.querySelectorAll('.cell').length > 10");
    browser.evaluate("document.querySelector('.cell').dispatchEvent(new MouseEvent('click'))");
    browser.wait_for("document.querySelectorAll('.cell.near').length > 3 && document.querySelector('.card h3').innerText.startsWith('images@')");
    // A frame that shows a report can ask nothing of this server.
    browser.open(&served.url(&format!("/report/{new}")));
    assert_eq!(browser.evaluate("origin"), "null");
    assert_eq!(browser.evaluate("fetch('/api/runs').then(() => 'answered', () => 'refused')"), "refused");
}

#[test]
fn means_are_those_of_the_tables() {
    let project = Project::with(NEIGHBOURS);
    let served = Served::of(&project, &["pipelines/p.toml"]);
    let Some(mut browser) = opened(&served, "/") else { return };
    for count in [1, 2, 5, 31, 32, 60, 500] {
        let values: Vec<f64> = (0..count).map(|at| f64::from(at * at % 17) / 10.0 - 0.3).collect();
        let seen =
            browser.evaluate(&format!("import('/page/statistics.js').then(({{ mean }}) => mean({}))", json!(values)));
        let right = Estimate::of(&values).expect("an estimate");
        let near = |a: &Value, b: f64| (a.as_f64().expect("a number") - b).abs() < 1e-5;
        assert!(near(&seen["mean"], right.mean), "{count}: {seen} {right:?}");
        match right.interval {
            Some((low, high)) => {
                assert!(near(&seen["low"], low) && near(&seen["high"], high), "{count}: {seen} {right:?}")
            }
            None => assert!(seen["low"].is_null(), "{count}: {seen}"),
        }
    }
}
