//! `strata export`: copy outputs to plain safetensors files, or draw the figures of the report as files. `named` gives weights
//! the names of another library.

mod named;

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{
    Console, Failure,
    look::{Look, LookArgs},
    report,
};
use crate::{
    digest::ArtifactHash,
    graph::{Graph, Target},
    ml::nn::Names,
    pipeline::quoted,
    plan::{self, Verdict},
    report::{Wanted, exported, files, sections::exports},
    stage::{Form, Registry},
};
use named::Named;

/// Copy outputs from the cache to plain safetensors files called INSTANCE.PORT.safetensors, or draw figures for a paper
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    look: LookArgs,
    /// A stage (all of its instances), an instance or `STAGE@axis=value,…`; add `.OUTPUT` for one of its outputs
    #[arg(value_name = "TARGET[.PORT]", required_unless_present = "figures", requires = "folder")]
    output: Option<String>,
    /// The folder to write to
    #[arg(short = 'o', long = "output-dir", value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    folder: Option<PathBuf>,
    /// Write the figures of the report to this folder, as SVG and PNG, and its tables as LaTeX
    #[arg(long, value_name = "DIR", conflicts_with = "output", value_hint = clap::ValueHint::DirPath)]
    figures: Option<PathBuf>,
    /// Make hard links instead of copies: they take no space, but changing such a file would damage the cache
    #[arg(long)]
    link: bool,
    /// Write weights by the names of a library, `torchvision` or `timm`, for its `load_state_dict`; shows how to load them
    #[arg(long, value_name = "LIBRARY", default_value_t, hide_default_value = true, conflicts_with_all = ["link", "figures"])]
    names: Names,
    /// Replace existing files that have other contents
    #[arg(short, long)]
    force: bool,
}

impl Args {
    /// Writes the files and prints their paths.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let Look { experiment, pipeline, .. } = self.look.open(registry, console)?;
        let graph = experiment.graph()?;
        let store = experiment.store();
        if let Some(folder) = &self.figures {
            let page = report::page(&experiment, &pipeline)?;
            let drawn = exports(&page).map_err(|error| Failure::Failed(error.to_string()))?;
            let hashed = drawn.iter().map(|(wanted, bytes)| (wanted.clone(), ArtifactHash::of(bytes)));
            let write = |at: usize, file: &Path| Ok(files::write(file, &drawn[at].1)?);
            return self.write(folder, &hashed.collect::<Vec<_>>(), write, console);
        }
        let output = self.output.as_deref().unwrap_or_default();
        let folder = self.folder.as_deref().unwrap_or(Path::new("."));
        let (targets, port) = wanted(&graph, output)?;
        let selection = graph.select(&[targets])?;
        let plan = plan::plan(&graph, &selection, &store, false)?;

        let named = Named { names: self.names, store: &store, told: RefCell::default() };
        let mut chosen = Vec::new();
        let mut instances = Vec::new();
        for &index in &selection.targets {
            let instance = &graph.instances[index];
            let name = &instance.name;
            let Some(Verdict::Cached(manifest)) = plan.get(index).map(|planned| &planned.decision.verdict) else {
                return Err(Failure::Failed(format!("{name} is not cached; `{}` makes it", pipeline.run(&[name]))));
            };
            if let Some(port) = port.as_ref().filter(|port| !manifest.outputs.contains_key(*port)) {
                let names = manifest.outputs.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                return Err(Failure::Usage(format!("{name} did not make `{port}`; there are {names}")));
            }
            let takes = |output: &String| match &port {
                Some(port) => port == output,
                None => self.names == Names::Strata || instance.form(output) == Some(Form::Weights),
            };
            for (output, made) in manifest.outputs.iter().filter(|(name, _)| takes(name)) {
                let form = instance.form(output);
                if self.names != Names::Strata && form != Some(Form::Weights) {
                    let form = form.map_or_else(|| "something else".to_owned(), |form| form.to_string());
                    return Err(Failure::Usage(format!(
                        "`--names` is for weights, and `{output}` of {name} is {form}"
                    )));
                }
                if !store.has(&made.hash)? {
                    let run = pipeline.run(&[name, "--force"]);
                    return Err(Failure::Failed(format!("`{output}` of {name} was evicted; `{run}` makes it again")));
                }
                // A file keeps its bytes, whatever they are.
                let ending = if form == Some(Form::File) { "" } else { ".safetensors" };
                chosen.push((Wanted::new(name, &format!(".{output}{ending}")), made.hash));
                instances.push((name, made.hash));
            }
        }
        if self.names != Names::Strata {
            if chosen.is_empty() {
                return Err(Failure::Usage(format!("`--names` is for weights, and `{output}` makes none")));
            }
            // One network at a time is in memory.
            for (name, hash) in &mut chosen {
                *hash = ArtifactHash::of(&named.bytes(&name.identity, hash)?);
            }
            let write = |at: usize, file: &Path| {
                let (name, hash) = &instances[at];
                files::write(file, &named.bytes(name, hash)?)?;
                named.tell(name, hash, &file.display().to_string(), console)
            };
            return self.write(folder, &chosen, write, console);
        }
        let write = |at: usize, file: &Path| {
            let (_, hash) = &chosen[at];
            // Reading checks the bytes against their hash, so no damaged object leaves the cache, even as a link.
            let bytes = store.read_bytes(hash)?;
            match store.object_path(hash)? {
                Some(object) if self.link => files::link(&object, file)?,
                None if self.link => return Err(Failure::Usage("`--link` needs a cache in a local folder".to_owned())),
                _ => files::write(file, &bytes)?,
            }
            Ok(())
        };
        self.write(folder, &chosen, write, console)
    }

    /// Writes files into a folder and prints their paths.
    fn write(
        &self,
        folder: &Path,
        wanted: &[(Wanted, ArtifactHash)],
        write: impl Fn(usize, &Path) -> Result<(), Failure>,
        console: &Console,
    ) -> Result<ExitCode, Failure> {
        let names = exported::places(folder, wanted, self.force)?;
        files::make_folder(folder)?;
        for (at, name) in names.iter().enumerate() {
            let file = folder.join(name);
            write(at, &file)?;
            if !console.quiet {
                console.print(&format!("{}\n", file.display()))?;
            }
        }
        console.listed(exported::list(folder, wanted, &names)?);
        Ok(ExitCode::SUCCESS)
    }
}

/// Splits a target from the output port after it, if there is one. Values of axes can contain dots as well
/// (`a@b.c=1.5`), so the whole text is tried as a target first; then only a port of the stage is split off at the end.
fn wanted(graph: &Graph<'_>, output: &str) -> Result<(String, Option<String>), Failure> {
    let whole = Target::find(graph, output);
    let stage = output.split(['@', '.']).next().unwrap_or_default();
    let made = graph.instances.iter().find(|one| one.stage == stage);
    let (Err(message), Some(made)) = (whole.map(drop), made) else {
        return Ok((output.to_owned(), None));
    };
    // A port may be written `PORT@EPOCH`.
    let named = output.match_indices('.').map(|(at, _)| (&output[..at], &output[at + 1..]));
    let ports = named.filter(|(_, port)| made.kind.output(port).is_some());
    let found = ports.into_iter().find(|(target, _)| Target::find(graph, target).is_ok());
    match (found, output[stage.len()..].strip_prefix('.')) {
        (Some((target, port)), _) => Ok((target.to_owned(), Some(port.to_owned()))),
        (None, Some(port)) => {
            let ports: Vec<&str> = made.kind.outputs.iter().map(|port| port.name).collect();
            Err(Failure::Usage(format!("`{stage}` has no output `{port}`; there are {}", quoted(&ports))))
        }
        (None, None) => Err(message.into()),
    }
}
