//! The graph of the stages, the time that they took, and the origin of every result.

use std::{collections::BTreeMap, path::Path};

use crate::{
    amount::{bytes, duration},
    digest::ArtifactHash,
    plan::PlanStatus,
    report::{
        Figure,
        figure::{Bar, Chart},
        page::{Dag, DagNode, Part},
    },
    results::{Align, Catalogue, Grid},
};

/// The most stages whose times are shown.
const BARS: usize = 30;

/// The totals of a stage over its instances.
#[derive(Default)]
struct Total {
    instances: usize,
    cached: usize,
    waiting: usize,
    seconds: f64,
    bytes: u64,
}

/// Makes the graph and the table of times.
pub(super) fn stages(source: &Catalogue<'_, '_>) -> Vec<Part> {
    let totals = totals(source);
    let mut dag = Dag::default();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut above: Vec<Vec<&str>> = Vec::new();
    for index in source.instances() {
        let stage = source.stage(index);
        let at = *places.entry(stage).or_insert_with(|| {
            let total = &totals[stage];
            let status = match total {
                Total { instances, cached, .. } if instances == cached => "cached",
                Total { waiting: 0, .. } => "run",
                _ => "waiting",
            };
            let many = if total.instances > 1 { format!(" × {}", total.instances) } else { String::new() };
            let lines = vec![
                format!("{}{many}", source.kind(index)),
                format!("{}/{} cached, {}", total.cached, total.instances, duration(total.seconds)),
            ];
            dag.nodes.push(DagNode { name: stage.to_owned(), lines, status, above: Vec::new() });
            above.push(Vec::new());
            dag.nodes.len() - 1
        });
        above[at].extend(source.above(index).map(|from| source.stage(from)));
    }
    // A loop leads from a stage to itself or to an earlier one. The picture has only edges from earlier stages to later
    // ones.
    for (at, names) in above.iter().enumerate() {
        let mut from: Vec<usize> = names.iter().map(|name| places[name]).filter(|&from| from < at).collect();
        from.sort_unstable();
        from.dedup();
        dag.nodes[at].above = from;
    }
    let mut bars: Vec<Bar> = totals
        .iter()
        .map(|(name, total)| Bar { name: (*name).to_owned(), value: total.seconds, interval: None })
        .filter(|bar| bar.value > 0.0)
        .collect();
    bars.sort_by(|a, b| b.value.total_cmp(&a.value));
    let all = bars.len();
    bars.truncate(BARS);
    let cut = if all > BARS { format!(" The {BARS} of {all} stages that took longest.") } else { String::new() };
    let whole: f64 = totals.values().map(|total| total.seconds).sum();
    let figure = Figure {
        name: "time".to_owned(),
        title: "Where the time went".to_owned(),
        caption: format!("Seconds of each stage over its instances, {} in all.{cut}", duration(whole)),
        chart: Chart::Bars { value: "seconds".to_owned(), bars },
    };
    vec![Part::Dag(dag), Part::Figure(Box::new(figure))]
}

fn totals<'a>(source: &'a Catalogue<'_, '_>) -> BTreeMap<&'a str, Total> {
    let mut totals: BTreeMap<&str, Total> = BTreeMap::new();
    for planned in source.planned() {
        let total = totals.entry(source.stage(planned.index)).or_default();
        total.instances += 1;
        total.waiting += usize::from(planned.status() == PlanStatus::Waiting);
        if let Some(manifest) = source.made().get(&planned.index) {
            total.cached += 1;
            // Equal work is counted once.
            if planned.same_as.is_none() {
                total.seconds += manifest.seconds;
                total.bytes += manifest.outputs.values().map(|output| output.bytes).sum::<u64>();
            }
        }
    }
    totals
}

/// Makes the parts about the origin of every result.
pub(super) fn parts(source: &Catalogue<'_, '_>, file: &Path, command: &str) -> Vec<Part> {
    let mut grid = Grid::new([("", Align::Left), ("", Align::Left)]);
    let mut line = |name: &str, value: String| grid.push(vec![name.to_owned(), value]);
    line("command", command.to_owned());
    line("pipeline file", file.display().to_string());
    let text = source.texts().next().unwrap_or_default();
    line("blake3 of the file", ArtifactHash::of(text.as_bytes()).hex());
    for argument in source.texts().skip(1) {
        line("changed by", argument.to_owned());
    }
    let distinct = |part: &dyn Fn(&crate::store::Provenance) -> String| {
        let mut all: Vec<String> = source.made().values().map(|manifest| part(&manifest.provenance)).collect();
        all.sort();
        all.dedup();
        all
    };
    let unknown = |part: Option<&String>| part.cloned().unwrap_or_else(|| "unknown".to_owned());
    line("strata", distinct(&|made| made.strata.clone()).join(", "));
    line("git commit of the project", {
        let of_none = |commit: String| if commit.is_empty() { "none".to_owned() } else { commit };
        let commits = distinct(&|made| made.commit.clone().unwrap_or_default());
        commits.into_iter().map(of_none).collect::<Vec<_>>().join(", ")
    });
    line("machines", distinct(&|made| unknown(made.machine.as_ref())).join("; "));
    line("vector instructions", distinct(&|made| unknown(made.instructions.as_ref())).join(", "));
    line("devices", distinct(&|made| made.device.clone()).join(", "));
    line("threads of an instance", distinct(&|made| made.threads.to_string()).join(", "));
    let finished = distinct(&|made| made.finished.split('.').next().unwrap_or_default().replace('T', " "));
    if let (Some(first), Some(last)) = (finished.first(), finished.last()) {
        line("finished", format!("{first} to {last} UTC"));
    }
    let all: u64 = totals(source).values().map(|total| total.bytes).sum();
    line("bytes of results", bytes(all));
    let columns = [("instance", Align::Left), ("kind", Align::Left), ("key", Align::Left), ("seconds", Align::Right)];
    let mut instances = Grid::new(columns.into_iter().chain([("outputs", Align::Left)]));
    for planned in source.planned() {
        let Some(manifest) = source.made().get(&planned.index) else { continue };
        let outputs = manifest.outputs.iter().map(|(port, output)| format!("{port} {}", output.hash.short()));
        instances.push(vec![
            source.name(planned.index).to_owned(),
            source.kind(planned.index).to_owned(),
            planned.decision.key().map(|key| key.short()).unwrap_or_default(),
            format!("{:.2}", manifest.seconds),
            outputs.collect::<Vec<_>>().join(", "),
        ]);
    }
    vec![
        Part::Table(String::new(), grid),
        Part::Folded(format!("{} cached instances", instances.rows().len()), instances),
        Part::Folded("The pipeline file".to_owned(), {
            let mut lines = Grid::new([("line", Align::Right), ("text", Align::Left)]);
            for (number, line) in (1..).zip(text.lines()) {
                lines.push(vec![number.to_string(), line.to_owned()]);
            }
            lines
        }),
    ]
}
