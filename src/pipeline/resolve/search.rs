//! `method` of a sweep: instead of the whole grid, some of its points.
//!
//! `random` draws `budget` points (Bergstra and Bengio 2012). `halving` gives that many points few epochs, the best of them
//! `factor` times as many, and so on up to the epochs of the file (successive halving, Jamieson and Talwalkar 2016).

use std::collections::BTreeMap;

use serde_json::Value;
use toml::{Spanned, de::DeValue};

use super::{
    Axis, Block, Pipeline, Space, document,
    draw::{self, Draws},
    parse::Reader,
    range::MOST,
    reach,
    worth::{plain, worth},
};
use crate::diagnostic::{Diagnostic, Span, suggest};

/// A key of the file and its value.
type Entry<'t> = (Spanned<String>, Spanned<DeValue<'t>>);

/// The keys of a sweep that say how it is searched.
pub(in crate::pipeline) const KEYS: [&str; 7] = ["method", "budget", "over", "factor", "start", "score", "goal"];

/// What a sweep says of its search: the entries under [`KEYS`].
#[derive(Default)]
pub(in crate::pipeline) struct Written<'t>(pub Vec<Entry<'t>>);

/// Successive halving over the points of a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halving {
    /// The block of the space whose rows are the points.
    pub block: usize,
    /// The parameter that rises from rung to rung, an axis of the sweep.
    pub over: String,
    /// Its values, one for each rung, rising.
    pub rungs: Vec<u64>,
    /// One in so many goes on to the next rung.
    pub factor: usize,
    /// The stage whose metric decides.
    pub stage: String,
    /// The metric.
    pub metric: String,
    /// The place of both.
    pub score: Span,
    /// True if a lower value is better.
    pub lowest: bool,
}

impl Halving {
    /// How many of `points` are in each rung.
    #[must_use]
    pub fn sizes(&self, points: usize) -> Vec<usize> {
        let next = |size: &usize| Some((size / self.factor).max(1));
        std::iter::successors(Some(points), next).take(self.rungs.len()).collect()
    }
}

impl<'t> Written<'t> {
    fn get(&self, key: &str) -> Option<&Entry<'t>> {
        self.0.iter().find(|(found, _)| found.get_ref() == key)
    }
}

impl<'t> Reader<'_, 't> {
    /// Takes the points that the search is about in place of the grid, and adds the axis of the rungs.
    pub(in crate::pipeline) fn search(&mut self, written: &Written<'t>, pipeline: &mut Pipeline<'t>) {
        let method = match written.get("method") {
            None => None,
            Some((_, value)) => match value.get_ref().as_str() {
                Some("grid") => None,
                Some(known @ ("random" | "halving")) => Some((known == "halving", value)),
                _ => {
                    let message = "`method` must be \"grid\", \"random\" or \"halving\"";
                    self.found.push(Diagnostic::new(value.span(), message));
                    return;
                }
            },
        };
        let Some((halves, method)) = method else {
            if let Some((key, _)) = written.0.iter().find(|(key, _)| key.get_ref() != "method") {
                let message = format!("`{}` says how a sweep is searched, but there is no `method`", key.get_ref());
                self.found.push(Diagnostic::new(key.span(), message).help("add `method = \"halving\"` or \"random\""));
            }
            for axis in &pipeline.axes {
                let Some((at, _)) = draw::of(axis) else { continue };
                let message = format!("`{}` is drawn at random, but the sweep has no `method`", axis.key.get_ref());
                let help = "add `method = \"random\"` and `budget = 20`, or list the values";
                self.found.push(Diagnostic::new(axis.values[at].span(), message).help(help));
            }
            return;
        };
        if !halves {
            for (key, _) in written.0.iter().filter(|(key, _)| !matches!(key.get_ref().as_str(), "method" | "budget")) {
                let message = format!("`{}` has no meaning in a random search", key.get_ref());
                self.found.push(Diagnostic::new(key.span(), message).help("leave it out, or use \"halving\""));
            }
        }
        let budget = written.get("budget").and_then(|entry| self.count(entry, 1));
        // After a mistake there may be nothing to draw from.
        if pipeline.space.blocks.iter().any(Block::is_empty) {
            return;
        }
        let Some(block) = self.sample(budget, method, pipeline) else { return };
        if halves {
            pipeline.halving = self.halving(block, written, method, pipeline);
        }
    }

    /// Puts one block in place of those that are searched, with a row for each point that is drawn, and explicit points
    /// beside them where an axis is a distribution.
    fn sample(
        &mut self,
        budget: Option<u64>,
        method: &Spanned<DeValue<'t>>,
        pipeline: &mut Pipeline<'t>,
    ) -> Option<usize> {
        let fixed = |axis: usize| {
            let axis: &Axis<'t> = &pipeline.axes[axis];
            axis.is_variant() || Some(axis.key.get_ref()) == pipeline.repeats.as_ref()
        };
        let blocks = pipeline.space.blocks.clone();
        let (mut rest, searched): (Vec<Block>, Vec<Block>) =
            blocks.into_iter().partition(|block| block.axes.iter().all(|&axis| fixed(axis)));
        let of = |axis: &Axis<'t>| draw::of(axis).map(|(at, _)| at as u32);
        let drawn: BTreeMap<usize, u32> =
            pipeline.axes.iter().enumerate().filter_map(|(at, axis)| Some((at, of(axis)?))).collect();
        if let (None, Some((&axis, _))) = (budget, drawn.first_key_value()) {
            let message =
                format!("`{}` has no end of values, so the search needs a `budget`", pipeline.axes[axis].key.get_ref());
            self.found.push(Diagnostic::new(method.span(), message).help("add `budget = 20`, the number of points"));
            return None;
        }
        if searched.is_empty() && !self.found.is_empty() {
            return None;
        }
        if searched.is_empty() {
            self.found.push(Diagnostic::new(method.span(), "the sweep has no axes to search").help("add some"));
            return None;
        }
        let seed = self.seed.as_ref().map(|seed| plain(&document::to_json(seed.get_ref()))).unwrap_or_default();
        let draws = Draws::new(&seed);
        let is_drawn = |axes: &[usize], row: &[u32]| {
            axes.iter().zip(row).all(|(axis, at)| drawn.get(axis).is_none_or(|of| of == at))
        };
        let open: Vec<Block> = searched.iter().map(|block| block.filtered(|row| is_drawn(&block.axes, row))).collect();
        let points = open.iter().try_fold(1usize, |product, block| product.checked_mul(block.len()));
        let many = |points: usize| budget.unwrap_or(u64::MAX).min(points as u64) > MOST as u64;
        if points.is_none_or(many) && budget.is_none_or(|budget| budget > MOST as u64) {
            let message = format!("the search has more than {MOST} points");
            self.found.push(Diagnostic::new(method.span(), message).help("add `budget = 20`, the number of points"));
            return None;
        }
        let mut rows = draws.rows(&open, budget, !drawn.is_empty());
        let count = rows.len();
        let axes: Vec<usize> = searched.iter().flat_map(|block| block.axes.iter().copied()).collect();
        if searched.iter().zip(&open).any(|(all, open)| all.len() > open.len()) {
            let Some(all) = Block::product(&searched) else {
                let message = format!("explicit `points` of a search are tied to more than {MOST} others");
                self.found.push(Diagnostic::new(method.span(), message).help("give fewer values, or sweep in parts"));
                return None;
            };
            let explicit = (0..all.len()).map(|row| all.row(row));
            rows.extend(
                explicit
                    .filter(|row| axes.iter().zip(*row).any(|(axis, at)| drawn.get(axis).is_some_and(|of| of != at)))
                    .map(<[u32]>::to_vec),
            );
        }
        for axis in drawn.into_keys() {
            let column = axes.iter().position(|other| *other == axis)?;
            let old: Vec<u32> = rows[count..].iter().map(|row| row[column]).collect();
            let values = self.drawn(&mut pipeline.axes[axis], count, &old, &draws)?;
            rows.iter_mut().zip(values).for_each(|(row, value)| row[column] = value);
        }
        let block = Block { axes, rows: rows.concat() }.tidy();
        let first = block.axes.first().copied();
        rest.push(block);
        rest.sort_by_key(|block| block.axes.first().copied());
        let place = rest.iter().position(|block| block.axes.first().copied() == first);
        pipeline.space = Space { blocks: rest };
        place
    }

    /// Gives an axis the values that its distribution draws for so many points, and those of explicit points, of which it
    /// has the indices; which of them each point has.
    fn drawn(&mut self, axis: &mut Axis<'t>, points: usize, explicit: &[u32], draws: &Draws) -> Option<Vec<u32>> {
        let (at, distribution) = draw::of(axis)?;
        let span = axis.values[at].span();
        let texts = match distribution.values(axis.key.get_ref(), points, draws) {
            Ok(texts) => texts,
            Err((message, help)) => {
                self.found.push(Diagnostic::new(span, message).help(help));
                return None;
            }
        };
        let drawn = texts.into_iter().map(|text| {
            let value = DeValue::parse(self.sources.keep(text)).ok()?.into_inner();
            Some(Spanned::new(span.clone(), value))
        });
        let explicit = explicit.iter().map(|&at| axis.values.get(at as usize).cloned());
        let all: Vec<Spanned<DeValue<'t>>> = drawn.chain(explicit).collect::<Option<_>>()?;
        let (mut values, mut known, mut places) = (Vec::new(), BTreeMap::new(), Vec::new());
        for value in all {
            let place = *known.entry(worth(&document::to_json(value.get_ref()))).or_insert(values.len());
            if place == values.len() {
                values.push(value);
            }
            places.push(place as u32);
        }
        axis.values = values;
        Some(places)
    }

    /// The rungs and what decides between them.
    fn halving(
        &mut self,
        block: usize,
        written: &Written<'t>,
        method: &Spanned<DeValue<'t>>,
        pipeline: &mut Pipeline<'t>,
    ) -> Option<Halving> {
        let (over, score) = (
            self.text("over", "simclr.epochs", written, method)?,
            self.text("score", "probe.test_accuracy", written, method)?,
        );
        let factor = written.get("factor").map_or(Some(3), |entry| self.count(entry, 2))? as usize;
        let start = written.get("start").map_or(Some(1), |entry| self.count(entry, 1))?;
        let lowest = match written.get("goal") {
            None => false,
            Some((_, goal)) => match goal.get_ref().as_str() {
                Some("maximize") => false,
                Some("minimize") => true,
                _ => {
                    let message = "`goal` must be \"maximize\" or \"minimize\"";
                    self.found.push(Diagnostic::new(goal.span(), message));
                    return None;
                }
            },
        };
        let axis = Axis::new(over, Vec::new());
        if !self.can_vary(&axis, pipeline) {
            return None;
        }
        let whole = self.value_of(&axis, pipeline);
        let Some(most) = whole.filter(|most| *most >= start) else {
            let message =
                format!("`{}` must be a whole number of at least {start} to be halved over", axis.key.get_ref());
            let help = "the value in `[stage…]` is that of the last rung; `start` that of the first";
            self.found.push(Diagnostic::new(axis.key.span(), message).help(help));
            return None;
        };
        if pipeline.axes.iter().any(|other| other.key.get_ref() == axis.key.get_ref()) {
            let message = format!("`{}` is an axis of the sweep, and `over` varies it too", axis.key.get_ref());
            self.found.push(Diagnostic::new(axis.key.span(), message).help("keep one of the two"));
            return None;
        }
        let both: Vec<Axis<'t>> = pipeline.axes.iter().chain([&axis]).cloned().collect();
        let overlaps = reach::overlap(&both, "axes");
        if !overlaps.is_empty() {
            self.found.extend(overlaps.into_iter().filter(|overlap| !self.found.contains(overlap)).collect::<Vec<_>>());
            return None;
        }
        let Some((stage, metric)) = score.get_ref().split_once('.') else {
            let message = "`score` must name a stage and one of its metrics";
            self.found.push(Diagnostic::new(score.span(), message).help("write `score = \"probe.test_accuracy\"`"));
            return None;
        };
        let mut names = pipeline.stages.iter().map(|stage| stage.name.get_ref().as_str());
        if !names.clone().any(|name| name == stage) && !pipeline.unread.contains(stage) {
            let like = suggest(stage, &mut names).map(|like| format!("did you mean `{like}.{metric}`?"));
            let mut diagnostic = Diagnostic::new(score.span(), format!("there is no stage `{stage}`"));
            diagnostic.help = like.or_else(|| Some("`score` names a stage and one of its metrics".to_owned()));
            self.found.push(diagnostic);
            return None;
        }
        let (stage, metric) = (stage.to_owned(), metric.to_owned());
        let points = pipeline.space.blocks[block].len();
        // As many rungs as it takes until one point is left, as far down as `start` allows.
        let (mut rungs, mut left) = (vec![most], points);
        while left >= factor {
            let below = (most as f64 / (factor as f64).powi(rungs.len() as i32)).round() as u64;
            if below < start.max(1) || rungs.last() == Some(&below) {
                break;
            }
            rungs.push(below);
            left /= factor;
        }
        rungs.reverse();
        let texts = rungs.iter().map(|rung| DeValue::parse(self.sources.keep(rung.to_string())));
        let values: Vec<_> =
            texts.filter_map(|value| Some(Spanned::new(axis.key.span(), value.ok()?.into_inner()))).collect();
        pipeline.space.blocks.push(Block::alone(pipeline.axes.len(), values.len()));
        let over = axis.key.get_ref().clone();
        pipeline.axes.push(Axis { values, ..axis });
        Some(Halving { block, over, rungs, factor, stage, metric, score: score.span(), lowest })
    }

    /// The value that the file or the defaults give a parameter, if it is a whole number.
    fn value_of(&self, axis: &Axis<'t>, pipeline: &Pipeline<'t>) -> Option<u64> {
        let stage = pipeline.stages.iter().find(|stage| *stage.name.get_ref() == axis.stage)?;
        let mut written = stage.params.get(axis.path.first()?.as_str());
        for key in &axis.path[1..] {
            written = written.and_then(|value| value.get_ref().as_table()?.get(key.as_str()));
        }
        match written {
            Some(value) => document::to_json(value.get_ref()).as_u64(),
            None => {
                let defaults = stage.kind.default_stage().params();
                axis.path.iter().try_fold(&defaults, |value: &Value, key| value.get(key))?.as_u64()
            }
        }
    }

    fn count(&mut self, (key, value): &Entry<'t>, least: u64) -> Option<u64> {
        let count = document::to_json(value.get_ref()).as_u64().filter(|count| *count >= least);
        if count.is_none() {
            let message = format!("`{}` must be a whole number of at least {least}", key.get_ref());
            self.found.push(Diagnostic::new(value.span(), message));
        }
        count
    }

    fn text(
        &mut self,
        key: &str,
        example: &str,
        written: &Written<'t>,
        method: &Spanned<DeValue<'t>>,
    ) -> Option<Spanned<String>> {
        let help = format!("write `{key} = \"{example}\"`");
        let Some((_, value)) = written.get(key) else {
            self.found.push(Diagnostic::new(method.span(), format!("halving needs `{key}`")).help(help));
            return None;
        };
        let Some(text) = value.get_ref().as_str() else {
            self.found.push(Diagnostic::new(value.span(), format!("`{key}` must be a string")).help(help));
            return None;
        };
        Some(Spanned::new(value.span(), text.to_owned()))
    }
}
