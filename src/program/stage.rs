//! A program as a stage: its parameters, what is in its key, and how it runs.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};
use toml::{Spanned, de::DeTable};

use super::{
    declaration::{Declaration, ProgramPort},
    events::{Events, Said},
    files::files,
    log::Log,
    outputs,
    params::{self, Param, ParamType},
    process::{self, Stop},
    request::{Request, outputs_in},
};
use crate::{
    stage::{
        AnyStage, Context, Drawing, Extent, Foresight, Inputs, Make, Need, Outputs, Problems, Progress, Source,
        StageError, View, Workplace, interned,
    },
    store::WorkFolder,
};

/// Makes stages of a program.
pub(super) struct Program(pub(super) Arc<Declaration>);

impl Make for Program {
    fn parse(&self, table: Spanned<DeTable<'_>>) -> Result<Box<dyn AnyStage>, toml::de::Error> {
        let values = params::read(&self.0.params, table)?;
        Ok(Box::new(ProgramStage { declared: self.0.clone(), values }))
    }

    fn restore(&self, params: &Value) -> Result<Box<dyn AnyStage>, serde_json::Error> {
        let values = serde::Deserialize::deserialize(params)?;
        Ok(Box::new(ProgramStage { declared: self.0.clone(), values }))
    }

    fn schema(&self) -> schemars::Schema {
        let schema = params::schema(&self.0.doc, &self.0.params);
        schemars::Schema::try_from(schema).expect("an object is a schema")
    }

    fn default_stage(&self) -> Box<dyn AnyStage> {
        Box::new(ProgramStage { declared: self.0.clone(), values: params::defaults(&self.0.params) })
    }
}

/// One stage that runs a program.
struct ProgramStage {
    declared: Arc<Declaration>,
    values: Map<String, Value>,
}

impl AnyStage for ProgramStage {
    fn params(&self) -> Value {
        self.values.clone().into()
    }

    fn program(&self) -> Option<Value> {
        let Declaration { run, outputs, params, environment, extend, .. } = &*self.declared;
        let words: Vec<String> = run.iter().map(|word| word.written.clone()).collect();
        let port = |port: &ProgramPort| (port.name.to_owned(), Value::from(port.to_string()));
        // Bytes that are no text are escaped.
        let text = |value: OsString| value.into_string().unwrap_or_else(|value| format!("{value:?}"));
        let variable =
            |name: &String| (name.clone(), std::env::var_os(name).map_or(Value::Null, |value| text(value).into()));
        // In the key, numbers that are equal are one: 2 and 2.0 differ by the type of their parameter.
        let type_of = |param: &Param| match self.values.get(param.name) {
            Some(list @ Value::Array(_)) => (param.name.to_owned(), Value::from(list.to_string())),
            _ => (param.name.to_owned(), Value::from(param.of.word())),
        };
        let mut program = json!({ "run": words, "outputs": outputs.iter().map(port).collect::<Map<_, _>>() });
        let types: Map<String, Value> =
            params.iter().filter(|param| matches!(param.of, ParamType::Float | ParamType::List)).map(type_of).collect();
        if !types.is_empty() {
            program["types"] = types.into();
        }
        if !environment.is_empty() {
            program["environment"] = environment.iter().map(variable).collect::<Map<_, _>>().into();
        }
        if let Some(extend) = extend {
            program["extend"] = (*extend).into();
        }
        Some(program)
    }

    fn takes_files(&self) -> bool {
        true
    }

    fn idle(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn check(&self, problems: &mut Problems) {
        params::check(&self.declared.params, &self.values, problems);
    }

    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    fn foresee(&self, _: &Foresight, _: &Path, _: &mut Problems) -> Foresight {
        Foresight::new()
    }

    /// One source for each file, so that the file which changed can be named.
    fn sources(&self, root: &Path) -> Result<Vec<Source>, StageError> {
        let source = |name: String| {
            let file = root.join(&name);
            Source { param: interned(&name), base: file.clone(), files: vec![file] }
        };
        Ok(files(&self.declared, root)?.into_iter().map(source).collect())
    }

    fn extent(&self) -> Option<Extent> {
        let extend = self.declared.extend?;
        let epochs = self.values.get(extend).and_then(Value::as_u64)?;
        Some(Extent { free: vec![extend], epochs, extends: true, keep: Vec::new() })
    }

    fn draw(&self, _: &dyn View) -> Vec<Drawing> {
        Vec::new()
    }

    fn run(&self, inputs: &Inputs, cx: &mut Context<'_>) -> Result<Outputs, StageError> {
        let Some(place) = cx.workplace() else {
            return Err(StageError::failed("a program runs only as a stage of a pipeline"));
        };
        let Workplace { scratch, instance, folder, mark, devices, log: log_place, .. } = *place;
        let parts = (cx.threads(), devices);
        let request = Request::new(&self.declared, (instance, &self.values), inputs.files(), parts, scratch, folder);
        let file = scratch.join("request.json");
        prepare(&request, scratch, &file)
            .map_err(|error| StageError::failed(format!("failed to write in {}: {error}", scratch.display())))?;
        let resumes = folder.is_some_and(WorkFolder::is_used);
        if resumes {
            cx.resume_folder();
        }
        let mut listening = Listening::open(&request.events, resumes, cx)?;

        let command = request.command(&self.declared, cx.root(), &file);
        let name = command.get_program().to_string_lossy().into_owned();
        let log = Arc::new(Mutex::new(Log::default()));
        let (began, timeout, cancelled) = (Instant::now(), self.declared.timeout, cx.stop());
        let ended = process::run(command, mark, &log, || {
            listening.take(cx, false);
            let late = timeout.is_some_and(|timeout| began.elapsed() >= timeout);
            cancelled().then_some(Stop::Cancelled).or(late.then_some(Stop::TimedOut))
        });
        listening.take(cx, true);
        let log = std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner));
        cx.log(log.bytes());
        let end = ended.map_err(|error| StageError::failed(not_started(&name, &error)))?;
        let fails = |why: String| StageError::failed(with_log(&why, &log, log_place));
        match (end.status.success(), end.stopped) {
            (false, Some(Stop::Cancelled)) => return Err(StageError::Cancelled),
            (_, Some(Stop::TimedOut)) => {
                let limit = humantime::format_duration(timeout.unwrap_or(Duration::ZERO));
                return Err(fails(format!("the program ran for more than its `timeout` of {limit} and was stopped")));
            }
            (false, _) => return Err(fails(format!("the program ended with {}", end.words()))),
            (true, _) if end.stragglers => return Err(fails(STRAGGLERS.to_owned())),
            (true, _) => {}
        }
        if let Some(message) = listening.failed {
            return Err(fails(message));
        }
        for metric in self.declared.metrics.iter().filter(|metric| !listening.metrics.contains(&*metric.name)) {
            cx.warn(format!("the program ended without reporting its metric `{}`", metric.name));
        }
        outputs::collect(&self.declared, &request.outputs).map_err(fails)
    }
}

/// Makes the folders of a run, and writes its request.
fn prepare(request: &Request<'_>, scratch: &Path, file: &Path) -> std::io::Result<()> {
    fs::create_dir_all(outputs_in(scratch))?;
    fs::create_dir_all(scratch.join("tmp"))?;
    fs::write(file, serde_json::to_vec_pretty(request).expect("a request is plain data"))
}

const STRAGGLERS: &str = "the program ended while processes that it had started were still running, so its outputs may not \
                          be whole and are not kept; they were stopped. Wait for them before the program ends";

/// Says why a program could not be started, and what would help.
fn not_started(program: &str, error: &std::io::Error) -> String {
    let help = match error.kind() {
        std::io::ErrorKind::NotFound => {
            ": there is no such program on PATH or, if it is a path, in the project; the first line of a script (`#!`) must \
             name one too"
        }
        std::io::ErrorKind::PermissionDenied => {
            ": it is not executable; `chmod +x` makes it so, or name its interpreter first"
        }
        _ => "",
    };
    format!("failed to start `{program}`: {error}{help}")
}

/// A failure with the last lines that the program printed, and where the rest is.
fn with_log(why: &str, log: &Log, place: &str) -> String {
    let lines = log.last_lines();
    if lines.is_empty() {
        return format!("{why}; it printed nothing");
    }
    let indented: String = lines.lines().map(|line| format!("\n  {line}")).collect();
    format!("{why}; the last lines of its log ({place}):{indented}")
}

/// What a program said, passed on as it comes.
struct Listening {
    events: Events,
    /// The names of its metrics so far.
    metrics: BTreeSet<String>,
    /// The last epoch at which its state was consistent.
    saved: Option<u64>,
    /// Whether there was a warning about a line that is not understood.
    warned: bool,
    /// Why the work counts as failed even if the program says otherwise.
    failed: Option<String>,
}

impl Listening {
    /// Opens the events of a program. If it resumes, what it reported up to its state counts, as it need not report that
    /// again.
    fn open(events: &Path, resumes: bool, cx: &mut Context<'_>) -> Result<Self, StageError> {
        let (opened, before) = Events::open(events.to_owned(), resumes)
            .map_err(|error| StageError::failed(format!("failed to write {}: {error}", events.display())))?;
        let mut listening = Self { events: opened, metrics: BTreeSet::new(), saved: None, warned: false, failed: None };
        for (said, _) in before {
            match said {
                Said::Metric { value, .. } if !value.is_finite() => {}
                Said::Metric { name, value } => listening.metric(cx, name, value),
                Said::Point { series, epoch, value } => cx.point(series, epoch, value),
                Said::Warning(message) => cx.warn(message),
                Said::Progress { .. } | Said::Saved { .. } | Said::Wrong { .. } => {}
            }
        }
        Ok(listening)
    }

    fn saved(&mut self, cx: &mut Context<'_>, epoch: u64, events: u64) {
        self.saved = Some(epoch);
        if let Err(error) = cx.saved_folder(epoch, events) {
            self.failed.get_or_insert(error.to_string());
        }
    }

    fn metric(&mut self, cx: &mut Context<'_>, name: String, value: f64) {
        self.metrics.insert(name.clone());
        cx.metric(name, value);
    }

    fn take(&mut self, cx: &mut Context<'_>, at_end: bool) {
        for (said, events) in self.events.news(at_end) {
            match said {
                Said::Metric { name, value } if !value.is_finite() => {
                    self.failed.get_or_insert(format!("it reported {value} for the metric `{name}`"));
                }
                Said::Metric { name, value } => self.metric(cx, name, value),
                Said::Point { series, epoch, value } => {
                    cx.point(series, epoch, value);
                    // A point of the saved epoch belongs to the state, even if it comes after that was saved.
                    if let Some(saved) = self.saved.filter(|saved| epoch <= *saved) {
                        self.saved(cx, saved, events);
                    }
                }
                Said::Progress { done, total, unit } => {
                    cx.progress(Progress { done, total, unit, ..Progress::default() });
                }
                Said::Saved { epoch } => self.saved(cx, epoch, events),
                Said::Warning(message) => cx.warn(message),
                Said::Wrong { line, message, is_metric } => {
                    let words = format!("line {line} of its events is not understood: {message}");
                    if is_metric {
                        self.failed.get_or_insert(words);
                    } else if !std::mem::replace(&mut self.warned, true) {
                        cx.warn(words);
                    }
                }
            }
        }
    }
}
