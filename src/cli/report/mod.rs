//! `strata report`: one page with everything that the cache knows of a pipeline.

mod answers;
mod curves;
mod differences;
mod draw;
mod images;
mod maps;
mod pictures;
mod provenance;
mod sweeps;

pub use draw::draw;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{
    Console, Failure,
    args::{CacheArgs, PipelineArgs},
};
use crate::{
    amount::bytes,
    graph::Graph,
    pipeline::plain,
    plan::Plan,
    report::{
        Figure, Wanted, file_names, files,
        page::{Page, Part, Section, Sprite},
    },
    results::Results,
    search,
    stage::Registry,
    store::{Artifact, Manifest, Store},
};

/// Write one page with tables, curves, pictures and the graph: a single file, from cached results only
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// The file to write
    #[arg(short = 'o', long = "output-file", value_name = "FILE", default_value = "report.html", value_hint = clap::ValueHint::FilePath)]
    page: PathBuf,
    #[command(flatten)]
    cache: CacheArgs,
}

/// What the sections are made from.
struct Source<'a, 't> {
    graph: &'a Graph<'t>,
    plan: &'a Plan,
    store: &'a Store,
    results: &'a Results<'a>,
    /// The records of the cached instances.
    made: BTreeMap<usize, &'a Manifest>,
}

impl Args {
    /// Writes the page.
    pub fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let experiment = self.cache.experiment(&self.pipeline, registry)?;
        let graph = experiment.graph()?;
        let store = experiment.store();
        let html = page(&graph, &store, &self.pipeline)?.html();
        files::write(&self.page, html.as_bytes())?;
        if !console.quiet {
            console.print(&format!("{} ({})\n", self.page.display(), bytes(html.len() as u64)))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The page of a pipeline, from what is in the cache.
pub fn page(graph: &Graph<'_>, store: &Store, pipeline: &PipelineArgs) -> Result<Page, Failure> {
    let mut search = Vec::new();
    let plan = search::plan(graph, &graph.select(&[])?, store, false, &mut |remark| search.push(remark.to_string()))?;
    let made: BTreeMap<usize, &Manifest> = plan.cached().collect();
    if made.is_empty() {
        return Err(Failure::Failed(format!("no results are cached; `{}` makes them", pipeline.run(&[]))));
    }
    let results = Results::new(graph, made.iter().map(|(index, manifest)| (*index, *manifest)));
    Ok(Source { graph, plan: &plan, store, results: &results, made }.page(&pipeline.file, &search))
}

impl Source<'_, '_> {
    /// The page, with what is known of the search under its title.
    fn page(&self, file: &Path, search: &[String]) -> Page {
        let mut sprites: Vec<Sprite> = Vec::new();
        let sections = [
            ("Results", answers::parts(self)),
            ("Sweeps", sweeps::parts(self)),
            ("Curves", curves::parts(self)),
            ("Maps", maps::parts(self, &mut sprites)),
            ("Images", pictures::parts(self)),
            ("Stages", provenance::stages(self)),
            ("Provenance", provenance::parts(self, file)),
        ];
        let sections = sections.into_iter().filter(|(_, parts)| !parts.is_empty());
        let sections = sections.map(|(title, parts): (&str, Vec<Part>)| Section { title: title.to_owned(), parts });
        let (cached, all) = (self.made.len(), self.plan.stages.len());
        let missing = if cached < all { format!(", {} are not", all - cached) } else { String::new() };
        Page {
            title: self.graph.pipeline.name.clone(),
            subtitle: search
                .iter()
                .fold(format!("{cached} instances of stages are in the cache{missing}."), |text, words| {
                    format!("{text} Search: {words}.")
                }),
            sections: apart(sections.collect()),
            sprites,
        }
    }

    /// An output of an instance, if it is cached and its bytes are there.
    fn artifact(&self, index: usize, output: &str) -> Option<Artifact> {
        let made = self.made.get(&index)?.outputs.get(output)?;
        self.store.read(&made.hash).ok()
    }

    /// What an input port of an instance is joined to.
    fn input(&self, index: usize, port: &str) -> Option<Artifact> {
        let link = self.graph.instances[index].inputs.iter().find(|link| link.port == port)?;
        self.artifact(link.from, &link.output)
    }

    /// The cached instances of a kind, one for each piece of work.
    fn of_kind(&self, kind: &str) -> impl Iterator<Item = usize> {
        let is_one = move |index: &usize| {
            let instance = &self.graph.instances[*index];
            instance.kind.name == kind && instance.same_as.is_none()
        };
        self.made.keys().copied().filter(is_one)
    }

    /// The same, of each point its first seed: repetitions look alike.
    fn examples(&self, kind: &str) -> impl Iterator<Item = usize> {
        let mut seen = BTreeSet::new();
        self.of_kind(kind).filter(move |&index| seen.insert((&*self.graph.instances[index].stage, self.arm(index))))
    }

    /// The name of an instance without its stage, or that of the stage alone.
    fn point(&self, index: usize) -> String {
        self.called(index, |_| true)
    }

    /// The same without its seed.
    fn arm(&self, index: usize) -> String {
        let seeds = self.graph.pipeline.repeats.as_deref();
        self.called(index, |axis| Some(axis) != seeds)
    }

    fn called(&self, index: usize, by: impl Fn(&str) -> bool) -> String {
        let instance = &self.graph.instances[index];
        let axes = instance.axes.iter().filter(|(axis, _)| by(axis));
        let words = words(axes.map(|(axis, value)| (axis, plain(value))));
        if words.is_empty() { instance.stage.clone() } else { words }
    }
}

/// Makes the names of all figures distinct: the stages `a_b` and `a-b` are spelt alike in anchors and file names.
fn apart(mut sections: Vec<Section>) -> Vec<Section> {
    fn figures(sections: &mut [Section]) -> impl Iterator<Item = &mut Figure> {
        let parts = sections.iter_mut().flat_map(|section| &mut section.parts);
        parts.filter_map(|part| if let Part::Figure(figure) = part { Some(&mut **figure) } else { None })
    }
    let wanted = figures(&mut sections).map(|figure| Wanted {
        name: figure.name.clone(),
        identity: figure.title.clone(),
        ending: String::new(),
    });
    let names = file_names(&wanted.collect::<Vec<_>>());
    for (figure, name) in figures(&mut sections).zip(names) {
        figure.name = name;
    }
    sections
}

/// `policy=random, clusters=64`: axes by their parameters alone, with their values.
fn words<'a>(axes: impl Iterator<Item = (&'a str, String)>) -> String {
    axes.map(|(axis, value)| format!("{}={value}", short(axis))).collect::<Vec<_>>().join(", ")
}

/// At most `most` of `all` places, the first among them: one in each stretch of equal length, at moving points of it, so
/// that the inner axis of a grid does not come out the same each time.
fn spread(all: usize, most: usize) -> Vec<usize> {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    if all <= most {
        return (0..all).collect();
    }
    let at = |stretch: f64| ((stretch + (GOLDEN * stretch).fract()) * all as f64 / most as f64) as usize;
    let mut places: Vec<usize> = (0..most).map(|stretch| at(stretch as f64).min(all - 1)).collect();
    places.dedup();
    places
}

/// An axis by its parameter alone.
fn short(axis: &str) -> &str {
    axis.rsplit('.').next().unwrap_or(axis)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::spread;

    #[test]
    fn what_is_shown_of_a_grid_is_spread_over_it() {
        assert_eq!(spread(3, 4), [0, 1, 2]);
        let of_grid = spread(144, 24);
        assert!(of_grid.len() > 20 && of_grid[0] == 0 && of_grid.is_sorted(), "{of_grid:?}");
        let inner: BTreeSet<usize> = of_grid.iter().map(|place| place % 12).collect();
        assert!(inner.len() > 8, "{inner:?}");
        for all in 5..200 {
            let places = spread(all, 4);
            assert!(places.len() >= 3 && places.iter().all(|place| *place < all), "{all}: {places:?}");
        }
    }
}
