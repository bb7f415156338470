//! Expands nodes at the points of the sweep to instances.
//!
//! Instances share equal data: parameters are parsed once for each combination of the axes that decide them, and the
//! words of an axis exist once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;
use toml::Spanned;

use super::{
    definition::{Ids, check, check_alone, define, kept, places},
    expressions::Ties,
    instance::{Axes, Definition, Instance, InstanceId, Instances, Link},
    name::InstanceName,
    projection::{Layout, Projections},
    unrolled::{Edge, Node},
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    digest::StageKey,
    pipeline::{MAX_INSTANCES, Pipeline, document},
    stage::Foresight,
};

/// The search for mistakes ends after this many, since they are most likely one mistake repeated.
const ENOUGH: usize = 1000;

/// The words of an axis: its key, and for each of its values the text `key=value` and the value as JSON.
struct Words {
    key: Arc<str>,
    values: Vec<(String, Arc<Value>)>,
}

struct Expander<'a, 't> {
    pipeline: &'a Pipeline<'t>,
    words: Vec<Words>,
    /// For each axis, its block and its column in that block.
    columns: Vec<(usize, usize)>,
    instances: Instances<'t>,
    ids: Ids,
    foreseen: BTreeMap<Foresight, Arc<Foresight>>,
    works: BTreeMap<StageKey, InstanceId>,
}

/// Expands all nodes. Each instance comes after the instances that it depends on.
pub(super) fn expand<'t>(
    pipeline: &Pipeline<'t>,
    ties: &[Ties<'_, 't>],
    nodes: &[Node],
    found: &mut Diagnostics,
) -> Instances<'t> {
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
    if start > MAX_INSTANCES {
        found.add(too_many(pipeline, &reaches, &layouts, start));
        check_alone(&ties[0], found);
        return Instances::new();
    }
    let mut columns = vec![(0, 0); pipeline.axes.len()];
    for (at, block) in pipeline.space.blocks.iter().enumerate() {
        block.axes.iter().enumerate().for_each(|(column, &axis)| columns[axis] = (at, column));
    }
    let mut expander = Expander {
        pipeline,
        words: words(pipeline),
        columns,
        instances: Instances::with_capacity(start),
        ids: Ids::new(),
        foreseen: BTreeMap::new(),
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

/// Reports a sweep that makes more than [`MAX_INSTANCES`] instances.
fn too_many(pipeline: &Pipeline<'_>, reaches: &[BTreeSet<usize>], layouts: &[Layout], total: usize) -> Diagnostic {
    let worst = (0..layouts.len()).max_by_key(|&node| layouts[node].len());
    let length = |axis: &&usize| pipeline.axes[**axis].values.len();
    let longest = worst.and_then(|node| reaches[node].iter().max_by_key(length));
    let span = longest.map_or(0..0, |&axis| pipeline.axes[axis].key.span());
    Diagnostic::new(span, format!("the sweep makes {total} instances of stages; {MAX_INSTANCES} are the most"))
        .help("every axis multiplies the instances of its stage and of all below: give fewer values, or run in parts")
}

impl<'t> Expander<'_, 't> {
    /// Adds all instances of a node.
    fn node(
        &mut self,
        node: &Node,
        ties: &Ties<'_, 't>,
        reach: &BTreeSet<usize>,
        layouts: &[Layout],
        at: usize,
        found: &mut Diagnostics,
    ) {
        let layout = &layouts[at];
        let pipeline = self.pipeline;
        let decisive: Vec<usize> = ties.axes(node.stage).into_iter().collect();
        let own = ties.own(node.stage);
        let places = Arc::new(places(ties, node.stage, &own, &node.inputs));
        let picks = node.inputs.iter().any(|edge| edge.output.contains('@'));
        let mut prefix = pipeline.stages[node.stage].name.get_ref().clone();
        for (key, value) in &node.marks {
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            prefix.push_str(&format!("{}{key}={shown}", if prefix.contains('@') { ',' } else { '@' }));
        }
        let mut definitions: BTreeMap<Vec<u32>, Arc<Definition<'t>>> = BTreeMap::new();
        let mut foreseen: BTreeMap<(usize, Vec<usize>), Arc<Foresight>> = BTreeMap::new();
        // If every axis decides the parameters, no two instances share them, so lookups are skipped.
        let shares = decisive.len() < reach.len();
        let mut rows = Vec::new();
        for offset in 0..layout.len() {
            layout.rows(offset, &mut rows);
            let value = |axis: usize| {
                let (block, column) = self.columns[axis];
                pipeline.space.blocks[block].row(rows[block] as usize)[column]
            };
            let ids = &mut self.ids;
            let mut define = |found: &mut Diagnostics| {
                let table = ties.table(node.stage, &value, found);
                let span = |&axis: &usize| pipeline.axes[axis].values[value(axis) as usize].span();
                let varied = own.iter().map(span).collect();
                Arc::new(define(ties, node.stage, (&places, varied), table, ids, found))
            };
            let definition = if shares {
                let decided = decisive.iter().map(|&axis| value(axis)).collect();
                definitions.entry(decided).or_insert_with(|| define(found)).clone()
            } else {
                define(found)
            };
            let link = |edge: &Edge| Link {
                port: edge.port,
                from: layouts[edge.from].find(&rows).into(),
                output: edge.output.clone(),
            };
            let links: Vec<Link> = node.inputs.iter().map(link).collect();
            if picks {
                kept(&definition, &links, &self.instances, found);
            }
            let look = |found: &mut Diagnostics| check(&definition, &links, &self.instances, pipeline, found);
            let foreseen = if shares {
                let above = links.iter().map(|link| Arc::as_ptr(&self.instances[link.from].foreseen).addr()).collect();
                let known = foreseen.entry((Arc::as_ptr(&definition).addr(), above));
                known.or_insert_with(|| shared(&mut self.foreseen, look(found))).clone()
            } else {
                shared(&mut self.foreseen, look(found))
            };
            let words = reach.iter().map(|&axis| (&self.words[axis], value(axis) as usize));
            let parts = words.clone().map(|(words, value)| &*words.values[value].0);
            let name = InstanceName::new(&prefix, parts);
            let mut axes: Vec<(Arc<str>, Arc<Value>)> = node.marks.clone();
            axes.extend(words.map(|(words, value)| (words.key.clone(), words.values[value].1.clone())));
            let work = self.work(&definition, &links);
            let index = self.instances.next_key();
            let first = *self.works.entry(work).or_insert(index);
            self.instances.push(Instance {
                name,
                axes: axes.into_iter().collect::<Axes>(),
                inputs: links,
                same_as: (first != index).then_some(first),
                recorded: None,
                foreseen,
                definition,
            });
            if found.len() > ENOUGH {
                return;
            }
        }
    }

    /// Returns a key that is equal exactly for equal work: the same kind, parameters, and sources of the inputs.
    fn work(&self, definition: &Definition<'_>, links: &[Link]) -> StageKey {
        let mut bytes = definition.id.to_le_bytes().to_vec();
        for link in links {
            let maker = self.instances[link.from].same_as.unwrap_or(link.from);
            bytes.extend(usize::from(maker).to_le_bytes());
            for name in [link.port, &link.output] {
                bytes.extend(name.len().to_le_bytes());
                bytes.extend(name.bytes());
            }
        }
        StageKey::of(&bytes)
    }
}

/// Interns a value: equal values share one allocation.
fn shared(known: &mut BTreeMap<Foresight, Arc<Foresight>>, foreseen: Foresight) -> Arc<Foresight> {
    if let Some(known) = known.get(&foreseen) {
        return known.clone();
    }
    let one = Arc::new(foreseen.clone());
    known.insert(foreseen, one.clone());
    one
}
