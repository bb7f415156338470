//! What a program is given: its request as JSON, its command line and its environment.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Serialize;
use serde_json::{Map, Value};

use super::declaration::{Declaration, Piece, ProgramPort, Word};
use crate::{
    stage::{DeviceId, Form},
    store::WorkFolder,
};

/// The version of the request's format.
const VERSION: u32 = 1;

/// Environment variables that every program sees, besides those that its declaration names. They say where programs and
/// libraries are, and how the network is reached; no result should depend on them.
const PASSED: [&str; 28] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "CONDA_DEFAULT_ENV",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "CUDA_HOME",
    "CUDA_PATH",
    "CUDA_DEVICE_ORDER",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "HF_HOME",
    "TORCH_HOME",
];

/// A file at a port.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PortFile {
    pub path: PathBuf,
    pub form: Form,
    /// Whether it is an output that need not be made; left out if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// The request of one run of a program.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Request<'a> {
    /// `PIPELINE/INSTANCE`.
    pub stage: &'a str,
    pub kind: &'static str,
    pub params: &'a Map<String, Value>,
    pub inputs: BTreeMap<&'static str, PortFile>,
    pub outputs: BTreeMap<&'static str, PortFile>,
    /// The parameter `seed`, or 0.
    pub seed: u64,
    pub threads: usize,
    /// The numbers of the GPUs that it may use.
    pub gpus: Vec<usize>,
    /// The folder for its state.
    pub state: Option<&'a Path>,
    /// The file that it appends events to.
    pub events: PathBuf,
    pub version: u32,
}

impl<'a> Request<'a> {
    /// Makes the request for a run in the folder `scratch`. The folder for the outputs must exist. Events are kept with the
    /// state, if there is a folder for one.
    pub(super) fn new(
        declared: &Declaration,
        (stage, params): (&'a str, &'a Map<String, Value>),
        inputs: &BTreeMap<String, PathBuf>,
        (threads, devices): (usize, &[DeviceId]),
        scratch: &Path,
        folder: Option<&'a WorkFolder>,
    ) -> Self {
        let input = |port: &ProgramPort| {
            let path = inputs.get(port.name)?.clone();
            Some((port.name, PortFile { path, form: port.form, optional: false }))
        };
        let output = |port: &ProgramPort| {
            let ending = if port.form == Form::File { "" } else { ".safetensors" };
            let path = outputs_in(scratch).join(format!("{}{ending}", port.name));
            (port.name, PortFile { path, form: port.form, optional: port.optional })
        };
        let gpu = |device: &DeviceId| if let DeviceId::Cuda(number) = device { Some(*number) } else { None };
        Self {
            stage,
            kind: declared.name,
            params,
            inputs: declared.inputs.iter().filter_map(input).collect(),
            outputs: declared.outputs.iter().map(output).collect(),
            seed: params.get("seed").and_then(Value::as_u64).unwrap_or_default(),
            threads,
            gpus: devices.iter().filter_map(gpu).collect(),
            state: folder.map(WorkFolder::path),
            events: folder.map_or_else(|| scratch.join("events"), WorkFolder::events),
            version: VERSION,
        }
    }

    /// Returns the command that runs the program in the folder `root`. `request` is the file that holds this request.
    pub(super) fn command(&self, declared: &Declaration, root: &Path, request: &Path) -> Command {
        let mut words = declared.run.iter().map(|word| self.word(word, request));
        let program = words.next().unwrap_or_default();
        // A program of the project may be named by its path from the root.
        let local = root.join(&program);
        let is_path = program.as_encoded_bytes().contains(&b'/');
        let mut command = Command::new(if is_path { local.into_os_string() } else { program });
        command.args(words).current_dir(root).env_clear();
        // The same on every machine, unless the declaration names them.
        command.envs([("LC_ALL", "C.UTF-8"), ("TZ", "UTC"), ("PYTHONUNBUFFERED", "1")]);
        let named = declared.environment.iter().map(String::as_str);
        for name in PASSED.into_iter().chain(named) {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let gpus: Vec<String> = self.gpus.iter().map(ToString::to_string).collect();
        let threads = self.threads.to_string();
        command
            .env("STRATA_REQUEST", request)
            .env("STRATA_THREADS", &threads)
            .env("OMP_NUM_THREADS", &threads)
            .env("CUDA_VISIBLE_DEVICES", gpus.join(","))
            .env("TMPDIR", request.parent().unwrap_or(request).join("tmp"));
        command
    }

    fn word(&self, word: &Word, request: &Path) -> OsString {
        let path = |ports: &BTreeMap<&str, PortFile>, name: &str| {
            ports.get(name).map(|port| port.path.clone().into_os_string()).unwrap_or_default()
        };
        let mut whole = OsString::new();
        for piece in &word.pieces {
            match piece {
                Piece::Text(text) => whole.push(text),
                Piece::Input(name) => whole.push(path(&self.inputs, name)),
                Piece::Output(name) => whole.push(path(&self.outputs, name)),
                Piece::Param(name) => whole.push(plain(self.params.get(name).unwrap_or(&Value::Null))),
                Piece::Threads => whole.push(self.threads.to_string()),
                Piece::State => whole.push(self.state.unwrap_or(Path::new(""))),
                Piece::Request => whole.push(request),
            }
        }
        whole
    }
}

/// The folder of the outputs of a run.
pub(super) fn outputs_in(scratch: &Path) -> PathBuf {
    scratch.join("outputs")
}

/// A value as a word of a command line: text without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
