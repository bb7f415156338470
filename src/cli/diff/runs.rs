//! `diff --run A --run B`: what two runs of a file made, instance by instance.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

use serde::Serialize;
use serde_json::Value;

use super::{Args, Difference, differences, metrics, one, parameters, shown};
use crate::{
    cli::{Console, Failure, args::Format, look::Look},
    experiment::Changes,
    graph::{Graph, InstanceId},
    pipeline::plain,
    plan::Plan,
    results::{Align, Grid, flatten},
    search,
    store::RunId,
};

#[derive(Serialize)]
struct Document<'a> {
    a: &'a RunId,
    b: &'a RunId,
    /// The changes to the file that each run was given, if they differ.
    arguments: Option<[Vec<String>; 2]>,
    instances: Vec<Compared<'a>>,
    /// Instances that only one of the runs meant.
    only_a: Vec<&'a str>,
    only_b: Vec<&'a str>,
}

/// What differs in an instance.
#[derive(Serialize)]
struct Compared<'a> {
    a: &'a str,
    b: &'a str,
    parameters: Vec<Difference>,
    metrics: Vec<Difference>,
}

/// A run with its graph and what the cache holds of it.
struct Side<'a, 't> {
    id: &'a RunId,
    changes: &'a Changes,
    graph: &'a Graph<'t>,
    plan: Plan,
}

impl Args {
    /// Prints what differs between two runs: of the instance A, or else of all.
    pub(super) fn compare_runs(&self, a: &Look, b: &Look, console: &Console) -> Result<ExitCode, Failure> {
        if self.b.is_some() {
            let why = "with two runs, an instance is compared with itself";
            return Err(Failure::Usage(format!("{why}: name one at most")));
        }
        let (Some(id_a), Some(id_b)) = (&a.run, &b.run) else { return Ok(ExitCode::SUCCESS) };
        let (graph_a, graph_b) = (a.experiment.graph()?, b.experiment.graph()?);
        let (a, b) = (Side::of((a, id_a), &graph_a)?, Side::of((b, id_b), &graph_b)?);
        let (pairs, only_a, only_b) = match &self.a {
            Some(name) => (vec![(one(a.graph, name)?, one(b.graph, name)?)], Vec::new(), Vec::new()),
            None => paired(a.graph, b.graph),
        };
        let compare = |&(at, bt): &(InstanceId, InstanceId)| {
            let (of_a, of_b) = match &self.a {
                // Of one instance, what it depends on counts too; of all, each has a line of its own.
                Some(_) => (parameters(a.graph, at, None), parameters(b.graph, bt, None)),
                None => (a.own(at), b.own(bt)),
            };
            Compared {
                a: &a.graph.instances[at].name,
                b: &b.graph.instances[bt].name,
                parameters: differences(&of_a, &of_b),
                metrics: differences(&metrics(a.plan.result(at)), &metrics(b.plan.result(bt))),
            }
        };
        let differs = |one: &Compared<'_>| !one.parameters.is_empty() || !one.metrics.is_empty();
        let document = Document {
            a: a.id,
            b: b.id,
            arguments: (a.changes != b.changes).then(|| [a.changes.words(), b.changes.words()]),
            instances: pairs.iter().map(compare).filter(differs).collect(),
            only_a,
            only_b,
        };
        match self.output {
            Format::Json => console.json(&document)?,
            Format::Csv => console.grid(&document.grid(plain), Format::Csv)?,
            Format::Text if document.is_empty() => console.print("the two runs made the same\n")?,
            format => console.grid(&document.grid(shown), format)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl<'a, 't> Side<'a, 't> {
    fn of((look, id): (&'a Look, &'a RunId), graph: &'a Graph<'t>) -> Result<Self, Failure> {
        let changes = look.experiment.changes();
        let plan = search::plan(graph, &graph.select(&[])?, &look.experiment.store(), false, &mut |_| {})?;
        Ok(Self { id, changes, graph, plan })
    }

    /// The parameters of an instance alone, and where its inputs come from.
    fn own(&self, at: InstanceId) -> BTreeMap<String, Value> {
        let instance = &self.graph.instances[at];
        let mut all = BTreeMap::from([("kind".to_owned(), Value::from(instance.kind.name))]);
        if let Value::Object(fields) = instance.params() {
            fields.iter().for_each(|(name, value)| flatten(name, value, &mut all));
        }
        for link in &instance.inputs {
            let from = format!("{}.{}", self.graph.instances[link.from].stage, link.output);
            all.insert(format!("inputs.{}", link.port), from.into());
        }
        all
    }
}

/// Pairs the instances of two graphs by name, and those that are left of a stage if each graph has one of them.
fn paired<'g>(a: &'g Graph<'_>, b: &'g Graph<'_>) -> (Vec<(InstanceId, InstanceId)>, Vec<&'g str>, Vec<&'g str>) {
    let by_name: BTreeMap<&str, InstanceId> =
        b.instances.iter_enumerated().map(|(index, instance)| (instance.name.as_ref(), index)).collect();
    let (mut pairs, mut left_a) = (Vec::new(), Vec::new());
    for (index, instance) in a.instances.iter_enumerated() {
        match by_name.get(&*instance.name) {
            Some(other) => pairs.push((index, *other)),
            None => left_a.push(index),
        }
    }
    let taken: BTreeSet<InstanceId> = pairs.iter().map(|(_, other)| *other).collect();
    let mut left_b: Vec<InstanceId> = b.instances.keys().filter(|index| !taken.contains(index)).collect();
    left_a.retain(|&index| {
        let stage = &a.instances[index].stage;
        let rivals = a.instances.iter().filter(|instance| instance.stage == *stage).count();
        let others: Vec<InstanceId> =
            left_b.iter().copied().filter(|&other| b.instances[other].stage == *stage).collect();
        if let (1, [other]) = (rivals, others.as_slice()) {
            pairs.push((index, *other));
            left_b.retain(|index| index != other);
            return false;
        }
        true
    });
    pairs.sort_unstable();
    let name_a = left_a.iter().map(|&index| a.instances[index].name.as_ref());
    let name_b = left_b.iter().map(|&index| b.instances[index].name.as_ref());
    (pairs, name_a.collect(), name_b.collect())
}

impl Document<'_> {
    fn is_empty(&self) -> bool {
        self.instances.is_empty() && self.only_a.is_empty() && self.only_b.is_empty() && self.arguments.is_none()
    }

    fn grid(&self, shown: impl Fn(&Value) -> String) -> Grid {
        let left = ["instance", ""].map(|header| (header.to_owned(), Align::Left));
        let mut grid = Grid::new(left.into_iter().chain([self.a, self.b].map(|id| (id.to_string(), Align::Right))));
        if let Some([a, b]) = &self.arguments {
            grid.push(vec![String::new(), "arguments".to_owned(), a.join(" "), b.join(" ")]);
        }
        for one in &self.instances {
            let name = if one.a == one.b { one.a.to_owned() } else { format!("{} | {}", one.a, one.b) };
            for each in &one.parameters {
                grid.push(vec![name.clone(), each.name.clone(), plain(&each.a), plain(&each.b)]);
            }
            for each in &one.metrics {
                grid.push(vec![name.clone(), each.name.clone(), shown(&each.a), shown(&each.b)]);
            }
        }
        for name in &self.only_a {
            grid.push(vec![(*name).to_owned(), String::new(), "meant".to_owned(), String::new()]);
        }
        for name in &self.only_b {
            grid.push(vec![(*name).to_owned(), String::new(), String::new(), "meant".to_owned()]);
        }
        grid
    }
}
