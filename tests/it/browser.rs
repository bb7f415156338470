//! Chromium without a screen, driven as a person would through the DevTools protocol, over a pipe.

use std::{
    collections::VecDeque,
    fs,
    io::{BufRead, BufReader, PipeReader, PipeWriter, Write},
    os::{fd::AsRawFd, unix::process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::require;

/// How long the browser may take over one thing.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser with one page. It ends with the value.
pub struct Browser {
    child: Child,
    to: PipeWriter,
    from: Receiver<Value>,
    calls: u64,
    session: Option<String>,
    events: VecDeque<Value>,
    /// What was requested, by URL.
    pub requests: Vec<String>,
    /// What went wrong in the page: errors on its console, exceptions, and what it was not allowed to do.
    pub errors: Vec<String>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts the browser of this machine; without one, the test is skipped.
    pub fn start() -> Option<Self> {
        let works = |name: &&&str| Command::new(name).arg("--version").output().is_ok_and(|ran| ran.status.success());
        let found = ["chromium", "chromium-browser", "google-chrome"].iter().find(works).copied();
        let name = require(found, "Chromium to open the page in (Debian: apt-get install chromium)")?;
        let profile = tempfile::tempdir().expect("a folder for the browser");
        let (commands, to) = std::io::pipe().expect("a pipe");
        let (answers, from_browser) = std::io::pipe().expect("a pipe");
        let mut command = Command::new(name);
        command
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let ends = [(commands.as_raw_fd(), 3), (from_browser.as_raw_fd(), 4)];
        // SAFETY: `fcntl` and `dup2` may be called between fork and exec.
        unsafe {
            command.pre_exec(move || {
                // First out of the way, as one of them may be 3 or 4 already.
                let apart = ends.map(|(end, _)| libc::fcntl(end, libc::F_DUPFD_CLOEXEC, 10));
                for (end, (_, wanted)) in apart.into_iter().zip(ends) {
                    if end < 0 || libc::dup2(end, wanted) < 0 {
                        return Err(std::io::Error::last_os_error());
                    }
                }
                Ok(())
            });
        }
        let child = command.spawn().expect("the browser can be started");
        let from = messages(answers);
        let (calls, session, events) = (0, None, VecDeque::new());
        let (requests, errors) = (Vec::new(), Vec::new());
        let mut browser = Self { child, to, from, calls, session, events, requests, errors, _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Calls a method of the protocol, and waits for its answer.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.calls += 1;
        let mut message = json!({ "id": self.calls, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).expect("the browser listens");
        loop {
            let answer = self.from.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("the browser answers {method}"));
            if answer["id"] == json!(self.calls) {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            self.note(answer);
        }
    }

    fn note(&mut self, event: Value) {
        let parameters = &event["params"];
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match event["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" => self.requests.push(text(&parameters["request"]["url"])),
            "Runtime.exceptionThrown" => self.errors.push(parameters["exceptionDetails"].to_string()),
            "Runtime.consoleAPICalled" if parameters["type"] == "error" => {
                self.errors.push(parameters["args"].to_string());
            }
            "Log.entryAdded" if parameters["entry"]["level"] == "error" => {
                self.errors.push(parameters["entry"].to_string());
            }
            "Page.loadEventFired" => self.events.push_back(event),
            _ => {}
        }
    }

    /// Opens a page and waits until it is loaded.
    pub fn open(&mut self, url: &str) {
        self.events.clear();
        let went = self.call("Page.navigate", json!({ "url": url }));
        assert!(went["errorText"].is_null(), "{url}: {went}");
        // A change after `#` alone loads nothing.
        if went["loaderId"].is_null() {
            return;
        }
        while self.events.is_empty() {
            let event = self.from.recv_timeout(PATIENCE).expect("the page loads");
            self.note(event);
        }
    }

    /// The value of an expression of the page; of a promise, what comes of it.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true, and returns its value.
    pub fn wait_for(&mut self, expression: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let value = self.evaluate(expression);
            if !matches!(value, Value::Null | Value::Bool(false)) && value != json!(0) {
                return value;
            }
            if Instant::now() >= deadline {
                let text = self.evaluate("document.body.innerText");
                panic!("{expression} does not come: {:?}\n{}", self.errors, text.as_str().unwrap_or_default());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sets the size of the window, and whether the reader prefers dark pages.
    pub fn show(&mut self, width: u32, is_dark: bool) {
        let size = json!({ "width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", features);
    }

    /// Presses a key.
    pub fn press(&mut self, key: &str, text: Option<&str>) {
        for kind in ["keyDown", "keyUp"] {
            let code = match key {
                "Tab" => 9,
                "Enter" => 13,
                _ => 0,
            };
            let mut event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            if let (Some(text), "keyDown") = (text, kind) {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Writes a picture of the whole page.
    pub fn picture(&mut self, file: &Path) {
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png", "captureBeyondViewport": true }));
        let bytes = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            shot["data"].as_str().expect("a picture"),
        );
        fs::write(file, bytes.expect("base64")).expect("a picture can be written");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads messages on a thread of its own, so that waiting for one can end.
fn messages(pipe: PipeReader) -> Receiver<Value> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        loop {
            let mut bytes = Vec::new();
            if pipe.read_until(0, &mut bytes).unwrap_or(0) == 0 {
                return;
            }
            bytes.pop();
            let Ok(message) = serde_json::from_slice(&bytes) else { return };
            if send.send(message).is_err() {
                return;
            }
        }
    });
    receive
}
