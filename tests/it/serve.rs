//! `strata serve`: who is answered and with what, and that nothing is written.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Stdio},
    time::SystemTime,
};

use serde_json::{Value, json};

use crate::support::{NEIGHBOURS, Project, send, text};

/// `strata serve` at work. It ends with the value.
pub struct Served {
    child: Child,
    pub port: u16,
}

impl Served {
    pub fn of(project: &Project, more: &[&str]) -> Self {
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

    pub fn url(&self, path: &str) -> String {
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

    pub fn json(&self, path: &str) -> Value {
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
