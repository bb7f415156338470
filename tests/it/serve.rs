//! `strata serve`: who is answered and with what, that nothing is written, and the page in a browser while a run is under
//! way.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Stdio},
    sync::Arc,
    time::SystemTime,
};

use serde_json::{Value, json};
use strata::{results::Estimate, store::Store};

use crate::{
    browser::Browser,
    support::{NEIGHBOURS, Project, is_event, lines_come, send, text},
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

/// `strata serve` at work. It ends with the value.
struct Served {
    child: Child,
    port: u16,
}

impl Served {
    fn of(project: &Project, more: &[&str]) -> Self {
        let mut command = project.command();
        command.args(["serve", "--port", "0", "-q"]).args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("its address");
        let port = line.trim_end().trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok());
        let Some(port) = port else {
            let mut why = String::new();
            let _ = child.stderr.take().expect("a pipe").read_to_string(&mut why);
            panic!("{line:?} is no address: {why}");
        };
        assert_eq!(line, format!("http://127.0.0.1:{port}/\n"));
        Self { child, port }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Sends a request as it is, and returns the head and the body of the answer.
    fn raw(&self, request: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("an end of the head");
        (String::from_utf8_lossy(&answer[..end]).into_owned(), answer[end + 4..].to_vec())
    }

    fn ask(&self, method: &str, path: &str, host: &str, more: &str) -> (String, Vec<u8>) {
        self.raw(&format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n"))
    }

    /// The status and the body of an answer to a well-behaved request.
    fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let (head, body) = self.ask("GET", path, &format!("localhost:{}", self.port), "");
        (status(&head), body)
    }

    fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        let document: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!((status, &document["format"]), (200, &json!(1)), "{path}: {document}");
        document
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("a status in {head}"))
}

/// The id of the newest run.
fn newest(served: &Served) -> String {
    text(&served.json("/api/runs")["runs"][0]["id"])
}

#[test]
fn only_this_machine_under_its_own_name_is_answered() {
    let project = Project::with(NEIGHBOURS);
    project.done(&["run", "pipelines/p.toml", "-q"]);
    let served = Served::of(&project, &[]);
    let (port, run) = (served.port, newest(&served));
    let paths =
        ["/", "/page/main.js", "/api/about", "/api/runs", &format!("/api/runs/{run}"), &format!("/report/{run}")];
    for path in paths {
        for host in [format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("LocalHost:{port}")] {
            assert_eq!(status(&served.ask("GET", path, &host, "").0), 200, "{path} at {host}");
        }
        // What a name leads to is up to whoever owns it.
        let evil = ["evil.example", "evil.example:80", "127.0.0.1", "localhost", "127.0.0.1:1", "[::1]:1"];
        for host in evil.iter().map(ToString::to_string).chain([format!("evil.example:{port}"), String::new()]) {
            let (head, body) = served.ask("GET", path, &host, "");
            assert_eq!(status(&head), 421, "{path} at {host}");
            assert!(String::from_utf8_lossy(&body).contains("answers to no other name"), "{host}");
        }
        assert_eq!(status(&served.raw(&format!("GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n")).0), 421, "no host");
        let twice = "Host: evil.example\r\n";
        assert_eq!(status(&served.ask("GET", path, &format!("localhost:{port}"), twice).0), 421, "two hosts");
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let (head, _) = served.ask(method, path, &format!("localhost:{port}"), "Content-Length: 0\r\n");
            assert_eq!(status(&head), 405, "{method} {path}");
        }
        let elsewhere = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n";
        assert_eq!(status(&served.ask("GET", path, &format!("localhost:{port}"), elsewhere).0), 403, "{path}");
        let link = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
        assert_eq!(status(&served.ask("GET", path, &format!("localhost:{port}"), link).0), 200, "a link to {path}");
    }
    let (head, body) = served.ask("HEAD", "/", &format!("localhost:{port}"), "");
    assert!(status(&head) == 200 && body.is_empty());
    for (path, wanted) in [("/", "default-src 'none'; script-src 'self'"), (paths[5], "sandbox allow-scripts")] {
        let (head, _) = served.ask("GET", path, &format!("localhost:{port}"), "");
        for line in [
            &format!("Content-Security-Policy: {wanted}"),
            "X-Content-Type-Options: nosniff",
            "Cross-Origin-Resource-Policy: same-origin",
            "Referrer-Policy: no-referrer",
        ] {
            assert!(head.contains(line), "{line} in {head}");
        }
    }
    // A copy that the browser has is not sent again.
    let (head, _) = served.ask("GET", "/api/runs", &format!("localhost:{port}"), "");
    let tag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).expect("a tag");
    let (head, body) =
        served.ask("GET", "/api/runs", &format!("localhost:{port}"), &format!("If-None-Match: {tag}\r\n"));
    assert!(status(&head) == 304 && body.is_empty(), "{head}");
    // It listens on no other address of this machine.
    assert!(TcpStream::connect(("127.0.0.2", port)).is_err());
}

#[test]
fn an_address_is_looked_up_and_never_a_path() {
    let project = Project::with(NEIGHBOURS);
    project.write("secret.js", "secret");
    project.done(&["run", "pipelines/p.toml", "-q"]);
    let served = Served::of(&project, &[]);
    let run = newest(&served);
    let key = text(&served.json(&format!("/api/runs/{run}"))["instances"][0]["key"]);
    for path in [
        "/secret.js",
        "/page/../secret.js",
        "/page/..%2fsecret.js",
        "/page/",
        "/page",
        "//page/main.js",
        "/api/runs/..",
        "/api/runs/../../secret.js/file",
        "/api/runs/%2e%2e/file",
        "/api/runs/20260101-000000-abc",
        "/report/../secret.js",
        "/report/%2fetc%2fpasswd",
        "/api/log/..%2f..%2fsecret.js",
        "/api/log/ab12",
        "/etc/passwd",
        "/cache/CACHEDIR.TAG",
        "*",
        "http://evil.example/",
    ] {
        let (status, body) = served.get(path);
        assert_eq!(status, 404, "{path}");
        assert!(!String::from_utf8_lossy(&body).contains("secret.js: secret"), "{path}");
    }
    assert_eq!(served.get(&format!("/api/runs/{run}/events?from=none")).0, 400);
    assert_eq!(served.json(&format!("/api/log/{key}"))["log"], Value::Null);
    assert_eq!(served.json(&format!("/api/runs/{run}/curves?from=99999999999"))["curves"], json!([]));
}

/// Every path of a cache with its content and its times.
fn state(project: &Project) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let time = |path: &PathBuf| fs::metadata(path).and_then(|found| found.modified()).expect("a time");
    let mut all: BTreeMap<PathBuf, (Vec<u8>, SystemTime)> = BTreeMap::new();
    for (path, content) in project.cache() {
        let path = project.path("cache").join(path);
        for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(project.path("cache"))) {
            all.entry(folder.to_owned()).or_insert_with(|| (Vec::new(), time(&folder.to_owned())));
        }
        all.insert(path.clone(), (content, time(&path)));
    }
    all
}

#[test]
fn nothing_is_written() {
    let project = Project::with(&format!("{NEIGHBOURS}\n[sweep]\n\"knn.k\" = [1, 5]\n"));
    project.done(&["run", "pipelines/p.toml", "-q"]);
    let before = state(&project);
    let served = Served::of(&project, &["pipelines/p.toml"]);
    let run = newest(&served);
    for path in ["/", "/api/about", "/api/live", "/api/runs", "/api/results"] {
        assert_eq!(served.get(path).0, 200, "{path}");
    }
    for part in ["", "/file", "/curves", "/events", "/graph"] {
        served.json(&format!("/api/runs/{run}{part}"));
    }
    let (status, report) = served.get(&format!("/report/{run}"));
    assert!(status == 200 && report.starts_with(b"<!DOCTYPE html>"), "{status}");
    drop(served);
    assert_eq!(state(&project), before);
}

#[test]
fn documents_say_how_runs_stand() {
    let project = Project::with(NEIGHBOURS);
    project.done(&["run", "pipelines/p.toml", "-q", "-S", "knn.k=3"]);
    project.edit("pipelines/p.toml", "kind = \"knn_probe\"", "kind = \"knn_probe\"\nk = 0");
    assert_ne!(project.strata(&["run", "pipelines/p.toml", "-q"]).code, Some(0));
    project.write("pipelines/other.toml", NEIGHBOURS);
    project.done(&["run", "pipelines/other.toml", "-q"]);
    let damaged = project.path("cache/runs-v1/20200101-000000-aaa");
    fs::create_dir_all(&damaged).expect("a folder");
    fs::write(damaged.join("run.json"), "{\"format\":9}").expect("a file");
    let served = Served::of(&project, &[]);
    let all = served.json("/api/runs");
    let runs = all["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 2, "a run with mistakes in its file never began: {all}");
    assert_eq!(all["passed_over"][0]["id"], "20200101-000000-aaa");
    let first = &runs[1];
    assert_eq!((&first["status"], &first["counts"]["ran"]), (&json!("done"), &json!(4)), "{first}");
    assert_eq!(first["arguments"], json!(["pipelines/p.toml", "-q", "-S", "knn.k=3"]));
    let id = text(&first["id"]);
    let one = served.json(&format!("/api/runs/{id}"));
    let knn = &one["instances"][3];
    assert_eq!((&knn["instance"], &knn["status"]), (&json!("knn"), &json!("ran")), "{one}");
    assert!(knn["metrics"]["test_accuracy"].is_number(), "{knn}");
    // The text that was run, not what the file says now.
    assert_eq!(served.json(&format!("/api/runs/{id}/file"))["text"], NEIGHBOURS);
    let graph = served.json(&format!("/api/runs/{id}/graph"));
    assert_eq!(graph["instances"][3], json!({ "instance": "knn", "stage": 3, "above": [1, 2] }));
    let events = served.json(&format!("/api/runs/{id}/events"));
    assert_eq!(events["lines"][0]["event"], "run_started", "{events}");
    let rest = served.json(&format!("/api/runs/{id}/events?from={}", events["next"]));
    assert_eq!((&rest["lines"], &rest["next"]), (&json!([]), &events["next"]));
    drop(served);
    // With a file, other files are not shown.
    let served = Served::of(&project, &["pipelines/other.toml"]);
    assert_eq!(served.json("/api/runs")["runs"].as_array().map(Vec::len), Some(1));
    assert_eq!(served.get(&format!("/api/runs/{id}")).0, 404);
}

#[test]
fn it_ends_with_ctrl_c_and_says_what_is_in_its_way() {
    let project = Project::with(NEIGHBOURS);
    let refused = project.strata(&["serve"]);
    assert!(refused.code == Some(2) && refused.err.contains("there is no cache at"), "{}", refused.err);
    let refused = project.strata(&["serve", "pipelines/none.toml"]);
    assert!(refused.code == Some(2) && refused.err.contains("there is no file pipelines/none.toml"), "{}", refused.err);
    // Before the first run there is nothing, and it is not made.
    let mut served = Served::of(&project, &["pipelines/p.toml"]);
    assert_eq!(served.json("/api/runs")["runs"], json!([]));
    assert!(!project.path("cache").exists());
    let taken = project.strata(&["serve", "pipelines/p.toml", "--port", &served.port.to_string()]);
    assert_eq!(taken.code, Some(2));
    assert!(taken.err.contains("--port") && taken.err.contains(&served.port.to_string()), "{}", taken.err);
    send(&served.child, "INT");
    assert_eq!(served.child.wait().expect("it ends").code(), Some(0));
}

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
