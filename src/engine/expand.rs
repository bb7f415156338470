//! From nodes and the points of the sweep to instances.
//!
//! What instances have in common exists once: parameters are parsed for each combination of the axes that decide them, not
//! for each instance, and the words of an axis are shared.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::Arc,
};

use serde_json::Value;
use toml::Spanned;

use super::{
    instance::{Axes, Definition, Instance, Link},
    projection::{Layout, Projections},
    tie::Ties,
    unroll::Node,
};
use crate::{
    diagnostic::{Diagnostic, Span},
    pipeline::{self, MOST, Pipeline, document, typed},
    stage::{BadParam, Problems, Rows},
    store::canonical,
};

/// After this many mistakes no more are looked for: they are one mistake, many times.
const ENOUGH: usize = 1000;

/// The words of an axis: its key, and for each value `key=value` and the value as JSON.
struct Words {
    key: Arc<str>,
    values: Vec<(String, Arc<Value>)>,
}

/// An instance's kind and parameters, and the makers and outputs of its inputs: equal exactly for equal work.
type Work = (usize, Vec<(&'static str, usize, Arc<str>)>);

struct Expander<'a, 't> {
    pipeline: &'a Pipeline<'t>,
    words: Vec<Words>,
    /// For each axis, its block and its column there.
    columns: Vec<(usize, usize)>,
    instances: Vec<Instance<'t>>,
    ids: BTreeMap<String, usize>,
    works: BTreeMap<Work, usize>,
}

/// All instances, each after what it needs.
pub(super) fn expand<'t>(
    pipeline: &Pipeline<'t>,
    ties: &[Ties<'_, 't>],
    nodes: &[Node],
    found: &mut Vec<Diagnostic>,
) -> Vec<Instance<'t>> {
    let mut projections = Projections::new(&pipeline.space);
    let mut reaches: Vec<BTreeSet<usize>> = Vec::new();
    let mut layouts: Vec<Layout> = Vec::new();
    let mut start = 0usize;
    for node in nodes {
        let mut reach = ties[node.variant].axes(node.stage);
        reach.extend(node.inputs.iter().flat_map(|edge| &reaches[edge.from]));
        let layout = Layout { start, parts: projections.of(&reach, &node.only) };
        start = start.saturating_add(layout.len());
        reaches.push(reach);
        layouts.push(layout);
    }
    if start > MOST {
        found.push(too_many(pipeline, &reaches, &layouts, start));
        check_alone(&ties[0], found);
        return Vec::new();
    }
    let mut columns = vec![(0, 0); pipeline.axes.len()];
    for (at, block) in pipeline.space.blocks.iter().enumerate() {
        block.axes.iter().enumerate().for_each(|(column, &axis)| columns[axis] = (at, column));
    }
    let mut expander = Expander {
        pipeline,
        words: words(pipeline),
        columns,
        instances: Vec::with_capacity(start),
        ids: BTreeMap::new(),
        works: BTreeMap::new(),
    };
    for (at, node) in nodes.iter().enumerate() {
        expander.node(node, &ties[node.variant], &reaches[at], &layouts, at, found);
        if found.len() > ENOUGH {
            break;
        }
    }
    expander.instances
}

/// The mistakes of each stage by itself, where a cycle leaves no order to go on in.
pub(super) fn check_alone(ties: &Ties<'_, '_>, found: &mut Vec<Diagnostic>) {
    let flat = ties.flat();
    for (stage, def) in flat.stages.iter().enumerate() {
        let Some(def) = def else { continue };
        let mut table = def.params.clone();
        for (path, ..) in pipeline::expressions(&def.params) {
            pipeline::replace(&mut table, &path, None);
        }
        let definition = define(ties, stage, &[], table, &mut BTreeMap::new(), found);
        check(&definition, &[], &[], flat.pipeline, found);
    }
}

fn words(pipeline: &Pipeline<'_>) -> Vec<Words> {
    let axes = pipeline.axes.iter().map(|axis| {
        let key = axis.key.get_ref();
        let value = |value: &Spanned<toml::de::DeValue<'_>>| {
            let value = value.get_ref();
            (format!("{key}={}", document::display(value)), Arc::new(document::to_json(value)))
        };
        Words { key: key.as_str().into(), values: axis.values.iter().map(value).collect() }
    });
    axes.collect()
}

/// The mistake of a sweep that makes more than [`MOST`] instances.
fn too_many(pipeline: &Pipeline<'_>, reaches: &[BTreeSet<usize>], layouts: &[Layout], total: usize) -> Diagnostic {
    let worst = (0..layouts.len()).max_by_key(|&node| layouts[node].len());
    let length = |axis: &&usize| pipeline.axes[**axis].values.len();
    let longest = worst.and_then(|node| reaches[node].iter().max_by_key(length));
    let span = longest.map_or(0..0, |&axis| pipeline.axes[axis].key.span());
    Diagnostic::new(span, format!("the sweep makes {total} instances of stages; {MOST} are the most"))
        .help("every axis multiplies the instances of its stage and of all below: give fewer values, or run in parts")
}

impl<'t> Expander<'_, 't> {
    /// All instances of a node.
    fn node(
        &mut self,
        node: &Node,
        ties: &Ties<'_, 't>,
        reach: &BTreeSet<usize>,
        layouts: &[Layout],
        at: usize,
        found: &mut Vec<Diagnostic>,
    ) {
        let layout = &layouts[at];
        let decisive: Vec<usize> = ties.axes(node.stage).into_iter().collect();
        let inputs: Vec<(&'static str, Span)> = node.inputs.iter().map(|edge| (edge.port, edge.span.clone())).collect();
        let mut prefix = self.pipeline.stages[node.stage].name.get_ref().clone();
        for (key, value) in &node.marks {
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            prefix.push_str(&format!("{}{key}={shown}", if prefix.contains('@') { ',' } else { '@' }));
        }
        let mut definitions: BTreeMap<Vec<u32>, Arc<Definition<'t>>> = BTreeMap::new();
        let mut sizes: BTreeMap<(usize, Vec<usize>), Arc<Rows>> = BTreeMap::new();
        let mut rows = Vec::new();
        for offset in 0..layout.len() {
            layout.rows(offset, &mut rows);
            let value = |axis: usize| {
                let (block, column) = self.columns[axis];
                self.pipeline.space.blocks[block].row(rows[block] as usize)[column]
            };
            let decided = decisive.iter().map(|&axis| value(axis)).collect();
            let definition = definitions.entry(decided).or_insert_with(|| {
                let table = ties.table(node.stage, &value, found);
                Arc::new(define(ties, node.stage, &inputs, table, &mut self.ids, found))
            });
            let definition = definition.clone();
            let link = |edge: &super::unroll::Edge| Link {
                port: edge.port,
                from: layouts[edge.from].find(&rows),
                output: edge.output.clone(),
            };
            let links: Vec<Link> = node.inputs.iter().map(link).collect();
            let above = links.iter().map(|link| Arc::as_ptr(&self.instances[link.from].rows).addr()).collect();
            let sizes = sizes
                .entry((Arc::as_ptr(&definition).addr(), above))
                .or_insert_with(|| Arc::new(check(&definition, &links, &self.instances, self.pipeline, found)));
            let mut name = String::with_capacity(prefix.len() + 24 * reach.len());
            name.push_str(&prefix);
            let mut axes: Vec<(Arc<str>, Arc<Value>)> = node.marks.clone();
            for &axis in reach {
                let words = &self.words[axis];
                let (word, json) = &words.values[value(axis) as usize];
                let separator = if axes.is_empty() { '@' } else { ',' };
                let _ = write!(name, "{separator}{word}");
                axes.push((words.key.clone(), json.clone()));
            }
            let work = (definition.id, links.iter().map(|link| self.made(link)).collect());
            let index = self.instances.len();
            let first = *self.works.entry(work).or_insert(index);
            self.instances.push(Instance {
                name,
                axes: axes.into_iter().collect::<Axes>(),
                inputs: links,
                same_as: (first != index).then_some(first),
                rows: sizes.clone(),
                definition,
            });
            if found.len() > ENOUGH {
                return;
            }
        }
    }

    fn made(&self, link: &Link) -> (&'static str, usize, Arc<str>) {
        (link.port, self.instances[link.from].same_as.unwrap_or(link.from), link.output.clone())
    }
}

/// A stage with the parameters of a table.
fn define<'t>(
    ties: &Ties<'_, 't>,
    stage: usize,
    inputs: &[(&'static str, Span)],
    table: toml::de::DeTable<'t>,
    ids: &mut BTreeMap<String, usize>,
    found: &mut Vec<Diagnostic>,
) -> Definition<'t> {
    let flat = ties.flat();
    let def = flat.stages[stage].as_ref().unwrap_or(&flat.pipeline.stages[stage]);
    let work = typed(&def.kind, &def.name, &table, found);
    let params = work.params();
    let next = ids.len();
    let id = *ids.entry(canonical(&(def.kind.name, &params))).or_insert(next);
    let inputs_span = inputs.iter().cloned().collect();
    let (stage, retries, header) = (def.name.get_ref().clone(), def.retries, def.name.span());
    Definition { stage, kind: def.kind, work, params, retries, table, header, inputs_span, id }
}

/// Notes parameters that cannot be right, alone or for the number of rows that come in; gives the rows that come out.
fn check(
    definition: &Definition<'_>,
    links: &[Link],
    above: &[Instance<'_>],
    pipeline: &Pipeline<'_>,
    found: &mut Vec<Diagnostic>,
) -> Rows {
    let mut problems = Problems::default();
    definition.work.check(&mut problems);
    let known = links.iter().filter_map(|link| Some((link.port, *above[link.from].rows.get(&*link.output)?)));
    let rows = definition.work.rows(&known.collect(), &pipeline.root, &mut problems);
    kept(definition, links, above, found);
    for BadParam { path, message, help } in problems.into_vec() {
        let text = format!("`{}.{path}`: {message}", definition.stage);
        let mut diagnostic = Diagnostic::new(definition.span(&path), text);
        diagnostic.help = help;
        if !found.contains(&diagnostic) {
            found.push(diagnostic);
        }
    }
    rows
}

/// An input `PORT@EPOCH` must be one that its maker keeps.
fn kept(definition: &Definition<'_>, links: &[Link], above: &[Instance<'_>], found: &mut Vec<Diagnostic>) {
    for link in links {
        let Some((_, epoch)) = link.output.split_once('@') else { continue };
        let maker = &above[link.from];
        let keep = maker.work.extent().map(|extent| extent.keep);
        let wanted = epoch.parse::<u64>().ok();
        if wanted.zip(keep.as_ref()).is_some_and(|(epoch, keep)| keep.contains(&epoch)) {
            continue;
        }
        let message = format!("stage `{}` does not keep `{}`", maker.stage, link.output);
        let help = match (keep, wanted) {
            (Some(_), Some(epoch)) => format!("add `keep_epochs = [{epoch}]` to `[stage.{}]`", maker.stage),
            (None, _) => format!("kind `{}` keeps no epochs; leave `@{epoch}` out", maker.kind.name),
            (_, None) => "an epoch is a number: `weights@5`".to_owned(),
        };
        let diagnostic = Diagnostic::new(definition.input_span(link.port), message).help(help);
        if !found.contains(&diagnostic) {
            found.push(diagnostic);
        }
    }
}
