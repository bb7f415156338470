//! From the arguments to a graph, or to every mistake at once.

use std::{fs, path::Path};

use super::{Console, Failure, args::PipelineArgs, failure::Mistake};
use crate::{
    diagnostic::{Diagnostic, Sources},
    graph::Graph,
    pipeline,
    stage::Registry,
};

/// The texts that a pipeline is read from: the file, and each argument that changes what it stands for.
pub struct Texts<'a> {
    file: &'a Path,
    sources: Sources,
}

/// Reads the file. A verb that needs its text more than once reads it once: what is done to the file later concerns later
/// runs.
pub fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| {
        let mut message = format!("failed to read the pipeline file {}: {error}", file.display());
        if error.kind() == std::io::ErrorKind::NotFound {
            message.push_str("\n`strata init` writes one to start from");
        }
        Failure::Usage(message)
    })
}

/// The texts, with the file as it is now.
pub fn texts(args: &PipelineArgs) -> Result<Texts<'_>, Failure> {
    Ok(texts_of(args, read(&args.file)?))
}

/// The texts, with the file as it was when it was read.
pub fn texts_of(args: &PipelineArgs, text: String) -> Texts<'_> {
    let file = &args.file;
    let mut sources = Sources::default();
    sources.add(file.display().to_string(), text);
    for set in &args.set {
        sources.add("command line", set.clone());
    }
    let seeds = args.seeds.map(|count| count.to_string());
    let options = [("sweep", &args.sweep), ("variant", &args.variant), ("seeds", &seeds)];
    for (name, value) in options.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        sources.add("command line", format!("--{name}={value}"));
    }
    Texts { file, sources }
}

impl Texts<'_> {
    /// The graph of all instances.
    pub fn graph(&self, registry: &Registry, console: &Console) -> Result<Graph<'_>, Failure> {
        let (pipeline, found) = pipeline::parse(&self.sources, self.file, registry);
        Graph::build(pipeline, found).map_err(|mistakes| self.mistakes(&mistakes, console))
    }

    /// The names of the sweeps that `--sweep` can choose.
    pub fn sweeps(&self, registry: &Registry) -> Vec<String> {
        pipeline::parse(&self.sources, self.file, registry).0.sweeps
    }

    /// Prints the notes and warnings about a pipeline that runs.
    pub fn notes(graph: &Graph<'_>, console: &Console) {
        if console.quiet {
            return;
        }
        for note in &graph.pipeline.notes {
            console.note(&format!("note: {note}"));
        }
        for warning in &graph.warnings {
            console.note(&format!("{}\n", warning.render(graph.pipeline.sources, console.color)));
        }
    }

    fn mistakes(&self, mistakes: &[Diagnostic], console: &Console) -> Failure {
        let of = |mistake| Mistake::new(mistake, &self.sources, console.color);
        Failure::mistakes(mistakes.iter().map(of).collect(), self.file)
    }
}
