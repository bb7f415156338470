//! Every result of a pipeline file that the cache holds, whatever run made it.

use std::{collections::BTreeMap, fmt::Display, path::PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::{answer::Answer, listed::Listed, site::Site};
use crate::{
    experiment::{Experiment, ExperimentError},
    results::{Described, Metrics, PastRow},
    store::RunId,
};

#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    /// The pipeline files that there are, the one that ran last first.
    files: Vec<Value>,
    /// Which of them this is.
    of: &'a str,
    /// The parameters in which rows differ.
    parameters: Vec<&'a str>,
    metrics: Vec<Column<'a>>,
    rows: &'a [PastRow],
}

#[derive(Serialize)]
struct Column<'a> {
    name: &'a str,
    is_score: bool,
    #[serde(flatten)]
    described: Option<Described<'a>>,
}

/// A pipeline file.
struct File {
    path: PathBuf,
    pipeline: String,
    /// As people know it: relative to its project.
    short: String,
    /// Its last run.
    run: Option<RunId>,
}

impl File {
    fn id(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    /// The pipeline as it ran last, whatever the file says now; as it is, if no run is recorded.
    fn experiment(&self, site: &Site) -> Result<Experiment, String> {
        let words = |error: &dyn Display| error.to_string();
        let experiment = match &self.run {
            Some(id) => {
                let run = site.store.run(id).map_err(|error| words(&error))?;
                let run = run.ok_or_else(|| format!("the record of run {id} is gone"))?;
                Experiment::of_run(&self.path, &run, &site.store).map_err(|error| words(&error))?
            }
            None => Experiment::open(&self.path).map_err(|error| words(&error))?,
        };
        let experiment = experiment.kinds(site.kinds.clone());
        Ok(match site.store.root() {
            Some(root) => experiment.cache(root),
            None => experiment,
        })
    }
}

/// Lists the files of these runs, and the one that is served if it has none.
fn files(site: &Site, runs: &[Listed]) -> Vec<File> {
    let mut files: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let mut found: Vec<File> = Vec::new();
    for run in runs {
        files.entry(run.path.clone()).or_insert_with(|| {
            let (path, pipeline, short) = (run.path.clone(), run.pipeline.clone(), run.file.clone());
            found.push(File { path, pipeline, short, run: Some(run.id.clone()) });
            found.len() - 1
        });
    }
    if let (true, Some(path)) = (found.is_empty(), &site.file) {
        let short = path.display().to_string();
        found.push(File { path: path.clone(), pipeline: String::new(), short, run: None });
    }
    found
}

/// Describes the results of the file with this id, or of the one that ran last.
pub(super) fn answer(site: &Site, runs: &[Listed], wanted: Option<&str>) -> Answer {
    let files = files(site, runs);
    let shown: Vec<Value> =
        files.iter().map(|file| json!({ "id": file.id(), "pipeline": file.pipeline, "file": file.short })).collect();
    let found = match wanted {
        Some(wanted) => files.iter().find(|file| file.id() == wanted),
        None => files.first(),
    };
    let Some(file) = found else {
        return match wanted {
            Some(_) => Answer::absent("no run of this file is recorded"),
            None => Answer::json(
                &json!({ "format": 1, "files": [], "of": null, "parameters": [], "metrics": [], "rows": [] }),
            ),
        };
    };
    let cannot = |why: &str| Answer::refused(409, &format!("the results of {} cannot be shown: {why}", file.short));
    let experiment = match file.experiment(site) {
        Ok(experiment) => experiment,
        Err(why) => return cannot(&why),
    };
    let read = || -> Result<_, ExperimentError> {
        let graph = experiment.graph()?;
        let past = experiment.past(&graph, &mut |_| {})?.with_numbers();
        Ok((Metrics::of(&graph), past))
    };
    let (about, past) = match read() {
        Ok(read) => read,
        Err(error) => return cannot(&error.to_string()),
    };
    let rows = past.rows();
    let mut described = past.described();
    let scores: Vec<&str> = about.scores().map(|metric| &*metric.name).collect();
    let mut names: Vec<&str> = past.metrics().collect();
    let rank = |name: &str| scores.iter().position(|score| *score == name).unwrap_or(scores.len());
    names.sort_by_key(|name| (rank(name), about.rank(name), *name));
    let column = |name| Column { name, is_score: scores.contains(&name), described: described.remove(name) };
    let metrics = names.into_iter().map(column).collect();
    let (id, parameters) = (file.id(), past.parameters().collect());
    Answer::json(&Document { format: 1, files: shown, of: &id, parameters, metrics, rows })
}
