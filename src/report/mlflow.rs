//! `--mlflow`: logs runs, parameters and metrics to an MLflow server, through its REST API.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value, json};

use crate::run::{Event, Reporter, Status};

/// The timeout of one request.
const REQUEST: Duration = Duration::from_secs(10);
/// The longest time that the end of a run waits for the remaining requests.
const REST: Duration = Duration::from_secs(30);
/// The pauses before a request is retried. Nothing is retried before the server has answered once.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];
/// The most metrics that the server takes in one request.
const METRICS: usize = 1000;
/// The most parameters that the server takes in one request.
const PARAMETERS: usize = 100;
/// The longest value of a parameter that the server takes.
const LONGEST: usize = 6000;

/// Logs to an MLflow server: an experiment with the name of the pipeline, and a run for each instance whose code runs.
///
/// A thread talks to the server, so that only the end of a run waits for it, and not for long. After a failure, one
/// message is printed and nothing more is logged.
pub struct Mlflow {
    queue: Option<Sender<Message>>,
    /// The curves that exist: instance and name.
    curves: BTreeSet<(String, String)>,
    /// The id of the run of strata, if it has one.
    run: Option<String>,
    /// Receives a message when the thread has sent everything.
    sent: Receiver<()>,
    url: String,
}

/// A task of the thread.
enum Message {
    Experiment(String),
    Start { instance: String, parameters: Vec<Value>, tags: Vec<Value>, time: u64 },
    Metric { instance: String, metric: Value },
    End { instance: String, status: &'static str, time: u64 },
}

impl Mlflow {
    /// Starts the thread. `url` is the address of the server, with or without a trailing slash; `run` is the id of the
    /// run of strata.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn new(url: &str, run: Option<String>) -> io::Result<Self> {
        let url = url.trim_end_matches('/').to_owned();
        let (queue, messages) = mpsc::channel();
        let (done, sent) = mpsc::channel();
        let address = url.clone();
        thread::Builder::new().name("mlflow".to_owned()).spawn(move || {
            let mut log = Log::new(&address);
            if let Err(error) = log.follow(&messages) {
                warn(&format!("nothing more is logged to MLflow at {address}: {error}"));
            }
            let _ = done.send(());
        })?;
        Ok(Self { queue: Some(queue), curves: BTreeSet::new(), run, sent, url })
    }

    fn tell(&self, message: Message) {
        // The thread has ended if it reported a failure.
        let _ = self.queue.as_ref().map(|queue| queue.send(message));
    }
}

impl Reporter for Mlflow {
    fn event(&mut self, event: &Event) {
        match event {
            Event::RunStarted { pipeline, .. } => self.tell(Message::Experiment(pipeline.clone())),
            Event::StageStarted { instance, kind, key, parameters, upstream, .. } => {
                let mut flat = BTreeMap::new();
                // The instance's own parameters have plain names, and go first where a name is taken twice.
                flatten("", parameters, &mut flat);
                flatten("", upstream, &mut flat);
                let flat = flat.iter().map(|(name, value)| parameter(name, value)).collect();
                let tag = |name: &str, value: &str| json!({"key": format!("strata.{name}"), "value": value});
                let mut tags = vec![tag("kind", kind)];
                tags.extend(key.map(|key| tag("key", &key.hex())));
                tags.extend(self.run.as_ref().map(|run| tag("run", run)));
                let instance = instance.clone();
                self.tell(Message::Start { instance, parameters: flat, tags, time: now() });
            }
            Event::Metric { instance, name, value, epoch } => {
                let curve = (instance.clone(), name.clone());
                // MLflow takes the last point of a curve as its value, and a final number may differ from it.
                let key = match epoch {
                    None if self.curves.contains(&curve) => format!("final/{name}"),
                    _ => name.clone(),
                };
                if epoch.is_some() {
                    self.curves.insert(curve);
                }
                let step = epoch.unwrap_or_default();
                let metric = json!({"key": key, "value": decimal(*value), "step": step, "timestamp": now()});
                self.tell(Message::Metric { instance: instance.clone(), metric });
            }
            Event::StageFinished { instance, status, .. } => {
                let status = match status {
                    Status::Ran | Status::Resumed | Status::Cached => "FINISHED",
                    Status::Failed => "FAILED",
                    Status::Blocked => "KILLED",
                };
                self.tell(Message::End { instance: instance.clone(), status, time: now() });
            }
            _ => {}
        }
    }
}

impl Drop for Mlflow {
    fn drop(&mut self) {
        self.queue = None;
        if self.sent.recv_timeout(REST) == Err(RecvTimeoutError::Timeout) {
            warn(&format!("MLflow at {} did not take everything in {} s", self.url, REST.as_secs()));
        }
    }
}

fn warn(message: &str) {
    let _ = io::stderr().write_all(format!("warning: {message}\n").as_bytes());
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(u64::MAX)
}

/// Encodes a number in JSON. NaN and infinities are the words that protobuf's JSON format defines for them.
fn decimal(value: f64) -> Value {
    match value {
        value if value.is_nan() => json!("NaN"),
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        value => json!(value),
    }
}

/// Flattens parameters of nested tables to `table.name`. A name that is there already keeps its value.
fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(table) => {
            for (name, value) in table {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, into);
            }
        }
        Value::Null => {}
        Value::String(text) => drop(into.entry(accepted(path)).or_insert_with(|| text.clone())),
        other => drop(into.entry(accepted(path)).or_insert_with(|| other.to_string())),
    }
}

/// Replaces what MLflow refuses in names of parameters, such as the `@` and `=` of an instance.
fn accepted(name: &str) -> String {
    const LONGEST_NAME: usize = 250;
    let accepted = |c: char| if c.is_alphanumeric() || "_-. :/".contains(c) { c } else { '_' };
    name.chars().map(accepted).take(LONGEST_NAME).collect()
}

fn parameter(name: &str, value: &str) -> Value {
    json!({"key": name, "value": value.chars().take(LONGEST).collect::<String>()})
}

/// The state of the thread.
struct Log {
    agent: ureq::Agent,
    api: String,
    experiment: String,
    /// The server's names of the runs that have not ended.
    runs: BTreeMap<String, String>,
    /// Metrics that have not been sent yet, by instance.
    waiting: BTreeMap<String, Vec<Value>>,
    answered: bool,
}

/// Why a request was not answered.
struct Refusal {
    message: String,
    /// The server's error code.
    code: String,
    /// True if the same request may succeed later.
    again: bool,
}

impl Log {
    fn new(url: &str) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(REQUEST)).http_status_as_error(false).build();
        Self {
            agent: config.into(),
            api: format!("{url}/api/2.0/mlflow"),
            experiment: String::new(),
            runs: BTreeMap::new(),
            waiting: BTreeMap::new(),
            answered: false,
        }
    }

    /// Handles messages until the other side is dropped.
    fn follow(&mut self, messages: &Receiver<Message>) -> Result<(), String> {
        while let Ok(message) = messages.recv() {
            self.take(message)?;
            // Metrics that have already arrived are sent together.
            while let Ok(message) = messages.try_recv() {
                self.take(message)?;
            }
            for instance in self.waiting.keys().cloned().collect::<Vec<_>>() {
                self.send_metrics(&instance)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, message: Message) -> Result<(), String> {
        match message {
            Message::Experiment(name) => self.experiment = self.experiment(&name)?,
            Message::Start { instance, parameters, tags, time } => {
                // A retry continues in the run of the first try.
                if !self.runs.contains_key(&instance) {
                    let request = json!({
                        "experiment_id": self.experiment, "run_name": instance, "start_time": time, "tags": tags,
                    });
                    let answer = self.post("runs/create", &request)?;
                    let run = text(&answer, &["run", "info", "run_id"])?;
                    for chunk in parameters.chunks(PARAMETERS) {
                        self.post("runs/log-batch", &json!({"run_id": run, "params": chunk}))?;
                    }
                    self.runs.insert(instance, run);
                }
            }
            Message::Metric { instance, metric } if self.runs.contains_key(&instance) => {
                self.waiting.entry(instance).or_default().push(metric);
            }
            Message::Metric { .. } => {}
            Message::End { instance, status, time } => {
                self.send_metrics(&instance)?;
                if let Some(run) = self.runs.remove(&instance) {
                    self.post("runs/update", &json!({"run_id": run, "status": status, "end_time": time}))?;
                }
            }
        }
        Ok(())
    }

    fn send_metrics(&mut self, instance: &str) -> Result<(), String> {
        let (Some(metrics), Some(run)) = (self.waiting.remove(instance), self.runs.get(instance).cloned()) else {
            return Ok(());
        };
        for chunk in metrics.chunks(METRICS) {
            self.post("runs/log-batch", &json!({"run_id": run, "metrics": chunk}))?;
        }
        Ok(())
    }

    /// Returns the experiment of this name, creating it if needed.
    fn experiment(&mut self, name: &str) -> Result<String, String> {
        match self.ask("experiments/create", &json!({"name": name})) {
            Ok(answer) => text(&answer, &["experiment_id"]),
            Err(refusal) if refusal.code == "RESOURCE_ALREADY_EXISTS" => {
                let url = format!("{}/experiments/get-by-name", self.api);
                let mut response =
                    self.agent.get(url).query("experiment_name", name).call().map_err(|error| error.to_string())?;
                let answer: Value = response.body_mut().read_json().map_err(|error| error.to_string())?;
                text(&answer, &["experiment", "experiment_id"])
            }
            Err(refusal) => Err(refusal.message),
        }
    }

    fn post(&mut self, method: &str, request: &Value) -> Result<Value, String> {
        self.ask(method, request).map_err(|refusal| refusal.message)
    }

    fn ask(&mut self, method: &str, request: &Value) -> Result<Value, Refusal> {
        for pause in PAUSES {
            match self.once(method, request) {
                Err(refusal) if refusal.again && self.answered => thread::sleep(pause),
                answer => return answer,
            }
        }
        self.once(method, request)
    }

    fn once(&mut self, method: &str, request: &Value) -> Result<Value, Refusal> {
        let lost = |error: ureq::Error| Refusal { message: error.to_string(), code: String::new(), again: true };
        let mut response = self.agent.post(format!("{}/{method}", self.api)).send_json(request).map_err(lost)?;
        self.answered = true;
        let status = response.status();
        if status.is_success() {
            return response.body_mut().read_json().map_err(lost);
        }
        let answer: Map<String, Value> = response.body_mut().read_json().unwrap_or_default();
        let word = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let message = format!("{method}: {status}: {}", word("message"));
        Err(Refusal {
            message: message.trim_end_matches([':', ' ']).to_owned(),
            code: word("error_code"),
            again: status.is_server_error(),
        })
    }
}

/// Returns the text at a path in an answer.
fn text(answer: &Value, path: &[&str]) -> Result<String, String> {
    let found = path.iter().try_fold(answer, |value, name| value.get(name)).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| format!("its answer has no `{}`", path.join(".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_has_not_are_words() {
        let values = [0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(decimal);
        assert_eq!(values, [json!(0.5), json!("NaN"), json!("Infinity"), json!("-Infinity")]);
    }

    #[test]
    fn nested_parameters_become_flat_ones() {
        let mut flat = BTreeMap::new();
        flatten("", &json!({"lr": 0.1, "encoder": {"kind": "resnet", "n": 4}, "at": null, "head": [8, 4]}), &mut flat);
        flatten("", &json!({"encoder": {"n": 9}, "dae@a.b=1": {"lr": 0.5}}), &mut flat);
        let expected =
            [("dae_a.b_1.lr", "0.5"), ("encoder.kind", "resnet"), ("encoder.n", "4"), ("head", "[8,4]"), ("lr", "0.1")];
        assert_eq!(flat.iter().map(|(name, value)| (&**name, &**value)).collect::<Vec<_>>(), expected);
        assert_eq!(parameter("lr", "0.1"), json!({"key": "lr", "value": "0.1"}));
    }
}
