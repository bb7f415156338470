//! `strata try`: one stage by hand, outside any pipeline. It is run as a pipeline of its own, in which the kind `import`
//! brings in each input, with a cache that is thrown away.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{Console, Failure, args::at_least_one, failure, schema};
use crate::{
    amount::number,
    experiment::{Experiment, Request},
    graph::Graph,
    report::{files, one_line},
    run::{Options, Outcome, Status, Summary, signals::stop_flag},
    stage::{Form, Port, Registry, StageKind},
    store::{Artifact, Manifest, Store},
    threads,
};

/// Run one stage by hand, outside any pipeline: inputs from files, outputs in a folder
#[derive(clap::Args)]
pub(super) struct Args {
    /// The kind of stage: one of strata, or one that a file of the project declares
    #[arg(value_name = "KIND")]
    kind: String,
    /// A file for an input port: safetensors, or any file for the form `file`
    #[arg(long, value_name = "PORT=FILE", value_parser = port_and_file)]
    input: Vec<(String, PathBuf)>,
    /// Set a parameter, with a value as in a pipeline file
    #[arg(short = 'S', long = "set", value_name = "PARAM=VALUE", allow_hyphen_values = true)]
    set: Vec<String>,
    /// The folder for the outputs, as PORT.safetensors, and for what the stage prints, as log.txt [default: try-KIND]
    #[arg(short = 'o', long = "output-dir", value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    folder: Option<PathBuf>,
    /// Take own kinds (`[kind.NAME]`) from this file and those that it includes [default: all files of the project]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Threads that it may use [default: all cores]; results do not depend on it
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    threads: Option<usize>,
}

/// The name of the stage that is tried.
const STAGE: &str = "try";

impl Args {
    /// Runs the stage, and prints what it printed and reported, and the paths of its outputs.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let kind = schema::kind(&self.kind, self.file.as_deref(), registry)?;
        let text = self.pipeline(&kind)?;
        let folder = self.folder.clone().unwrap_or_else(|| PathBuf::from(format!("try-{}", self.kind)));
        files::make_folder(&folder)?;
        let cache = tempfile::Builder::new().prefix(".cache-").tempdir_in(&folder)?;
        let mut kinds = registry.clone();
        kinds.add(kind);
        // The file need not exist; its folder says which project this is.
        let named = self.file.clone().unwrap_or_else(|| PathBuf::from("try.toml"));
        let experiment = Experiment::of_text(named, text).kinds(kinds).cache(cache.path());
        let options = Options {
            threads: self.threads.unwrap_or_else(threads::cores),
            cancel: stop_flag()?,
            ..Options::default()
        };
        let request = Request { targets: vec![STAGE.to_owned()], ..Request::default() };
        let store = experiment.store();
        experiment.run_with(&request, options, &mut (), |ended| {
            self.show(&folder, (ended.graph, ended.summary), &store, console)
        })?
    }

    /// The text of a pipeline with the stage, and one more stage for each input.
    fn pipeline(&self, kind: &StageKind) -> Result<String, Failure> {
        let (mut inputs, mut stages) = (Vec::new(), String::new());
        for (port, file) in &self.input {
            let Some(declared) = kind.input(port) else {
                let names: Vec<&str> = kind.inputs.iter().map(|port| port.name).collect();
                let known = crate::pipeline::quoted(&names);
                return Err(Failure::Usage(format!("kind `{}` has no input `{port}`; there are {known}", kind.name)));
            };
            let form = form(declared, file)?;
            let path = std::path::absolute(file)?;
            let path = toml::Value::from(path.to_string_lossy().into_owned());
            stages.push_str(&format!("\n[stage.input_{port}]\nkind = \"import\"\nform = \"{form}\"\npath = {path}\n"));
            inputs.push(format!("{port} = \"input_{port}.data\""));
        }
        let mut text = format!("[pipeline]\nname = \"{STAGE}\"\n\n[stage.{STAGE}]\nkind = \"{}\"\n", kind.name);
        if !inputs.is_empty() {
            text.push_str(&format!("inputs = {{ {} }}\n", inputs.join(", ")));
        }
        for set in &self.set {
            let Some((name, value)) = set.split_once('=') else {
                return Err(Failure::Usage(format!("`{set}` must be PARAM=VALUE")));
            };
            let value = if is_value(value) { value.to_owned() } else { toml::Value::from(value).to_string() };
            text.push_str(&format!("{} = {value}\n", name.trim()));
        }
        text.push_str(&stages);
        Ok(text)
    }

    fn show(
        &self,
        folder: &Path,
        (graph, summary): (&Graph<'_>, &Summary),
        store: &Store,
        console: &Console,
    ) -> Result<ExitCode, Failure> {
        let tried = |outcome: &&Outcome| graph.instances[outcome.index].stage == STAGE;
        for outcome in &summary.outcomes {
            if let (Status::Failed, Some(message)) = (outcome.status, &outcome.message) {
                // Its log is kept in the folder of the outputs, not in the cache.
                let kept = folder.join("log.txt").display().to_string();
                let message = match outcome.key {
                    Some(key) => message.replace(&store.log_place(&key), &kept),
                    None => message.clone(),
                };
                console.note(&format!("{} failed: {message}", graph.instances[outcome.index].stage));
            }
        }
        let Some(outcome) = summary.outcomes.iter().find(tried) else { return Ok(ExitCode::from(failure::FAILED)) };
        let log = outcome.key.map(|key| store.log(&key)).transpose()?.flatten();
        if let Some(log) = &log {
            files::write(&folder.join("log.txt"), log)?;
        }
        let Some(manifest) = &outcome.manifest else {
            return Ok(ExitCode::from(if summary.interrupted { failure::INTERRUPTED } else { failure::FAILED }));
        };
        console.print(&String::from_utf8_lossy(&log.unwrap_or_default()))?;
        console.print(&reported(manifest))?;
        for (port, made) in &manifest.outputs {
            let is_file = graph.instances[outcome.index].form(port) == Some(Form::File);
            let file = folder.join(if is_file { port.clone() } else { format!("{port}.safetensors") });
            files::write(&file, &store.read_bytes(&made.hash)?)?;
            console.print(&format!("{}\n", file.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The warnings and metrics of a stage, one a line.
fn reported(manifest: &Manifest) -> String {
    let warnings = manifest.warnings.iter().map(|warning| format!("warning: {}\n", one_line(warning)));
    let metrics = manifest.metrics.iter().map(|(name, value)| format!("{}: {}\n", one_line(name), number(*value)));
    warnings.chain(metrics).collect()
}

/// The form of a file for a port that takes several: the first that it fits.
fn form(port: &Port, file: &Path) -> Result<Form, Failure> {
    if let [form] = port.forms {
        return Ok(*form);
    }
    let bytes =
        fs::read(file).map_err(|error| Failure::Usage(format!("failed to read {}: {error}", file.display())))?;
    let fitting = Artifact::from_bytes(&bytes)
        .ok()
        .and_then(|artifact| port.forms.iter().copied().find(|form| form.check(&artifact).is_ok()));
    fitting.ok_or_else(|| {
        let forms: Vec<String> = port.forms.iter().map(ToString::to_string).collect();
        Failure::Usage(format!("{} is none of {}, which `{}` takes", file.display(), forms.join(", "), port.name))
    })
}

fn is_value(text: &str) -> bool {
    toml::from_str::<toml::Table>(&format!("x = {text}")).is_ok_and(|table| table.len() == 1)
}

fn port_and_file(text: &str) -> Result<(String, PathBuf), String> {
    let (port, file) = text.split_once('=').ok_or("must be PORT=FILE, such as `features=features.safetensors`")?;
    Ok((port.trim().to_owned(), PathBuf::from(file)))
}
