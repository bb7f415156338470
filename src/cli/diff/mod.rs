//! `strata diff`: compare the parameters and metrics of two instances; `runs` compares those of two runs.

mod runs;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Console, Failure,
    args::{CacheArgs, Format, PipelineArgs},
    look::{Look, Which, open, seen},
};
use crate::{
    amount,
    graph::{Graph, InstanceId},
    pipeline::plain,
    plan::{self, Verdict},
    results::{Align, Grid, flatten},
    stage::Registry,
    store::{Manifest, Real},
};

/// Show how two instances differ in metrics and in parameters, their own and those of what they depend on
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// An instance, or a stage with only one instance
    #[arg(value_name = "A")]
    a: Option<String>,
    /// The other instance
    #[arg(value_name = "B")]
    b: Option<String>,
    #[command(flatten)]
    cache: CacheArgs,
    /// Look at this run as it was: an id from `strata runs`, or `last`; given twice, compares what two runs made, of all
    /// stages or of A alone
    #[arg(long, value_name = "ID")]
    run: Vec<Which>,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Serialize)]
struct Document<'a> {
    a: &'a str,
    b: &'a str,
    parameters: Vec<Difference>,
    metrics: Vec<Difference>,
}

/// One difference. A value is null if that instance does not have it.
#[derive(Serialize)]
struct Difference {
    name: String,
    a: Value,
    b: Value,
}

impl Args {
    /// Prints the differences.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let run = match self.run.as_slice() {
            [] => None,
            [run] => Some(run),
            [a, b] => {
                let open = |which| seen(which, &self.pipeline, &self.cache, registry, console);
                return self.compare_runs(&open(a)?, &open(b)?, console);
            }
            _ => return Err(Failure::Usage("two runs are compared: give `--run` once or twice".to_owned())),
        };
        let (Some(first), Some(second)) = (&self.a, &self.b) else {
            let two = "name two instances to compare, A and B";
            return Err(Failure::Usage(format!("{two}; or `--run ID --run ID` compares what two runs made")));
        };
        let Look { experiment, .. } = open(run, &self.pipeline, &self.cache, registry, console)?;
        let graph = experiment.graph()?;
        let store = experiment.store();
        let (a, b) = (one(&graph, first)?, one(&graph, second)?);
        let selection = graph.select(&[first.clone(), second.clone()])?;
        let plan = plan::plan(&graph, &selection, &store, false)?;
        let manifest = |index: InstanceId| match plan.get(index).map(|planned| &planned.decision.verdict) {
            Some(Verdict::Cached(manifest)) => Some(manifest.as_ref()),
            _ => None,
        };
        let name = |index: InstanceId| graph.instances[index].name.as_ref();
        for index in [a, b].into_iter().filter(|&index| manifest(index).is_none()) {
            console.note(&format!("{} is not cached, so it has no metrics", name(index)));
        }
        let document = Document {
            a: name(a),
            b: name(b),
            parameters: differences(&parameters(&graph, a, Some(b)), &parameters(&graph, b, Some(a))),
            metrics: differences(&metrics(manifest(a)), &metrics(manifest(b))),
        };
        match self.output {
            Format::Json => console.json(&document)?,
            Format::Csv => console.grid(&grid(&document, plain), Format::Csv)?,
            Format::Text if document.parameters.is_empty() && document.metrics.is_empty() => {
                console.print(&format!("{} and {} do not differ\n", document.a, document.b))?;
            }
            format => console.grid(&grid(&document, shown), format)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The only instance that a name stands for.
fn one(graph: &Graph<'_>, wanted: &str) -> Result<InstanceId, Failure> {
    let selection = graph.select(&[wanted.to_owned()])?;
    let targets: Vec<InstanceId> = selection.targets.into_iter().collect();
    let [index] = targets[..] else {
        let names: Vec<&str> = targets.iter().map(|&index| graph.instances[index].name.as_ref()).collect();
        return Err(Failure::Usage(format!("`{wanted}` has several instances; name one of\n  {}", names.join("\n  "))));
    };
    Ok(index)
}

/// All parameters of an instance and of everything that it depends on, by path. The parameters of the instance itself
/// start with the name of its stage if the other instance, if there is one, is of the same stage, or else with a name that
/// both share.
fn parameters(graph: &Graph<'_>, index: InstanceId, other: Option<InstanceId>) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let mut seen = BTreeSet::from([index]);
    let mut open = vec![index];
    while let Some(at) = open.pop() {
        let instance = &graph.instances[at];
        let shared = at == index && other.is_some_and(|other| instance.stage != graph.instances[other].stage);
        let prefix = if shared { "(itself)" } else { &instance.stage };
        all.insert(format!("{prefix}.kind"), Value::from(instance.kind.name));
        flatten(prefix, &instance.params(), &mut all);
        for link in &instance.inputs {
            let from = &graph.instances[link.from];
            all.insert(format!("{prefix}.inputs.{}", link.port), format!("{}.{}", from.stage, link.output).into());
            if seen.insert(link.from) {
                open.push(link.from);
            }
        }
    }
    all
}

fn metrics(manifest: Option<&Manifest>) -> BTreeMap<String, Value> {
    manifest
        .iter()
        .flat_map(|manifest| &manifest.metrics)
        .map(|(name, value)| (name.clone(), json!(Real(*value))))
        .collect()
}

fn differences(a: &BTreeMap<String, Value>, b: &BTreeMap<String, Value>) -> Vec<Difference> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let value = |map: &BTreeMap<String, Value>, name: &str| map.get(name).cloned().unwrap_or_default();
    let difference = |name: &String| Difference { name: name.clone(), a: value(a, name), b: value(b, name) };
    names.into_iter().filter(|name| a.get(*name) != b.get(*name)).map(difference).collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Number(n) if n.is_f64() => n.as_f64().map(amount::number).unwrap_or_default(),
        value => plain(value),
    }
}

fn grid(document: &Document<'_>, shown: impl Fn(&Value) -> String) -> Grid {
    let mut grid = Grid::new([("", Align::Left), (document.a, Align::Right), (document.b, Align::Right)]);
    for one in &document.parameters {
        grid.push(vec![one.name.clone(), plain(&one.a), plain(&one.b)]);
    }
    for one in &document.metrics {
        grid.push(vec![one.name.clone(), shown(&one.a), shown(&one.b)]);
    }
    grid
}
