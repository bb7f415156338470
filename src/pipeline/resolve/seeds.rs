//! `seeds`, `vary` and `share` of a sweep: the same experiment several times.
//!
//! The repeats are one axis: the seed of the first stage that varies. The other stages take it over by an expression, so
//! that two arms with the same number share whatever chance decides.

use std::{borrow::Cow, collections::BTreeSet};

use toml::{Spanned, de::DeValue};

use super::{Axis, Params, Pipeline, StageDef, document, parse::Reader, space::Given, sweep::Written};
use crate::diagnostic::{Diagnostic, Span, suggest};

/// More repeats than this are a slip of the pen.
const MOST: u64 = 10_000;

/// What a sweep says of repeats.
#[derive(Default)]
pub(in crate::pipeline) struct Seeds<'t> {
    /// How many seeds, or which.
    pub seeds: Option<(Spanned<String>, Spanned<DeValue<'t>>)>,
    /// The stages that have another seed in each repeat.
    pub vary: Option<Vec<Spanned<String>>>,
    /// The stages that keep theirs.
    pub share: Option<Vec<Spanned<String>>>,
}

impl<'t> Reader<'_, 't> {
    /// A list of names of stages.
    pub(in crate::pipeline) fn names(
        &mut self,
        key: &Spanned<String>,
        value: Spanned<DeValue<'t>>,
    ) -> Option<Vec<Spanned<String>>> {
        let names = value.get_ref().as_array().and_then(|items| {
            let name =
                |item: &Spanned<DeValue<'t>>| Some(Spanned::new(item.span(), item.get_ref().as_str()?.to_owned()));
            items.iter().map(name).collect::<Option<Vec<_>>>()
        });
        if names.is_none() {
            let message = format!("`{}` must be a list of stages", key.get_ref());
            self.found
                .push(Diagnostic::new(value.span(), message).help(format!("write `{} = [\"stage\"]`", key.get_ref())));
        }
        names
    }

    /// Makes the axis of the repeats, and ties the seeds of all stages that vary to it.
    /// `wanted` is the number of seeds that the command line gives in place of the file's.
    pub(in crate::pipeline) fn repeat(
        &mut self,
        sweep: &mut Written<'t>,
        wanted: Option<&Spanned<String>>,
        pipeline: &mut Pipeline<'t>,
        given: &mut Given<'t>,
    ) {
        let Seeds { seeds, vary, share } = std::mem::take(&mut sweep.seeds);
        // Of a file that says nothing of seeds, `--seeds` repeats all that has one but the data.
        let (share, seeds) = match (wanted, DeValue::parse("1")) {
            (Some(wanted), Ok(one)) if seeds.is_none() && vary.is_none() && share.is_none() => {
                let key = Spanned::new(wanted.span(), "seeds".to_owned());
                (Some(self.seeded_sources(pipeline)), Some((key, Spanned::new(wanted.span(), one.into_inner()))))
            }
            _ => (share, seeds),
        };
        let Some((key, value)) = seeds else {
            for name in vary.into_iter().chain(share).flatten().take(1) {
                let message = "`vary` and `share` say which seeds vary, but there are no `seeds`";
                self.found.push(Diagnostic::new(name.span(), message).help("add `seeds = 5`"));
            }
            return;
        };
        let Some(values) = self.numbers(&value, wanted) else { return };
        let Some(stages) = self.varying(&key, vary, share, pipeline) else { return };
        if self.taken(&key, &stages, sweep, pipeline, given) {
            return;
        }
        let Some((first, others)) = stages.split_first() else { return };
        let name = format!("{first}.seed");
        for stage in pipeline.stages.iter_mut().filter(|stage| others.contains(stage.name.get_ref())) {
            let tied = DeValue::String(Cow::Owned(format!("= {name}")));
            document::set(&mut stage.params, &["seed".to_owned()], key.span(), Spanned::new(value.span(), tied));
        }
        given.repeats = Some(Axis::new(Spanned::new(key.span(), name.clone()), values));
        pipeline.repeats = Some(name);
    }

    /// True (with mistakes noted) if something else gives a seed that the repeats take over.
    fn taken(
        &mut self,
        key: &Spanned<String>,
        stages: &[String],
        sweep: &Written<'t>,
        pipeline: &Pipeline<'t>,
        given: &Given<'t>,
    ) -> bool {
        let before = self.found.len();
        let mut note = |span: Span, stage: &str, what: &str| {
            let message = format!("`{stage}.seed` {what}, and `seeds` varies it too");
            let help = format!("keep one of the two: leave the seed out, or name `{stage}` in `share`, not in `vary`");
            self.found.push(Diagnostic::new(span, message).other(key.span(), "here").help(help));
        };
        let of_points = sweep.points.iter().flat_map(|point| &point.axes);
        let of_file = sweep.groups.iter().flatten().chain(of_points);
        for axis in of_file.chain(&given.axes).filter(|axis| axis.path == ["seed"] && stages.contains(&axis.stage)) {
            note(axis.key.span(), &axis.stage, "is an axis");
        }
        for stage in pipeline.stages.iter().filter(|stage| stages.contains(stage.name.get_ref())) {
            for (name, _) in stage.params.iter().filter(|(name, _)| name.get_ref() == "seed") {
                note(name.span(), stage.name.get_ref(), "is set");
            }
        }
        for variant in &pipeline.variants {
            let patches = variant.set.iter().filter(|patch| patch.path == ["seed"] && stages.contains(&patch.stage));
            patches.for_each(|patch| note(patch.span.clone(), &patch.stage, "is set by a variant"));
        }
        self.found.len() > before
    }

    /// The seeds: so many from the pipeline's on, or those of a list; another number of them continues either.
    fn numbers(
        &mut self,
        value: &Spanned<DeValue<'t>>,
        wanted: Option<&Spanned<String>>,
    ) -> Option<Vec<Spanned<DeValue<'t>>>> {
        let whole = |value: &DeValue<'t>| document::whole(value).and_then(|whole| u64::try_from(whole).ok());
        let base = self.seed.as_ref().and_then(|seed| whole(seed.get_ref())).unwrap_or(0);
        let (listed, count) = match value.get_ref() {
            DeValue::Array(items) => {
                let listed: Option<Vec<u64>> = items.iter().map(|item| whole(item.get_ref())).collect();
                let mut known = BTreeSet::new();
                let once = listed.map(|listed| listed.into_iter().filter(|seed| known.insert(*seed)).collect());
                let once: Option<Vec<u64>> = once;
                let count = once.as_ref().map(|listed| listed.len() as u64);
                (once.unwrap_or_default(), count)
            }
            one => (Vec::new(), whole(one)),
        };
        if count.is_none_or(|count| !(1..=MOST).contains(&count)) {
            let message = "`seeds` must be a number of seeds, at least 1, or a list of seeds";
            self.found.push(Diagnostic::new(value.span(), message));
            return None;
        }
        let wanted_count =
            wanted.map(|wanted| wanted.get_ref().parse().ok().filter(|count| (1..=MOST).contains(count)));
        if let (Some(wanted), Some(None)) = (wanted, wanted_count) {
            let message = format!("`--seeds` must be a number from 1 to {MOST}");
            self.found.push(Diagnostic::new(wanted.span(), message));
            return None;
        }
        let count = wanted_count.flatten().or(count).unwrap_or_default();
        let more = count.saturating_sub(listed.len() as u64);
        let first = listed.iter().max().map_or(Some(base), |last| last.checked_add(1)).unwrap_or_default();
        let last = listed
            .iter()
            .max()
            .copied()
            .map_or(base.checked_add(more.saturating_sub(1)), |last| last.checked_add(more));
        if more > 0 && last.is_none() {
            let message = format!("there are not that many seeds up to the largest, {}", u64::MAX);
            self.found.push(Diagnostic::new(value.span(), message).help("start lower: `[pipeline] seed` is the first"));
            return None;
        }
        let numbers = listed.into_iter().chain((0..more).map(|at| first + at)).take(count as usize);
        let parsed = |number: u64| DeValue::parse(self.sources.keep(number.to_string())).ok();
        let values = numbers.filter_map(parsed);
        Some(values.map(|number| Spanned::new(value.span(), number.into_inner())).collect())
    }

    /// The stages with a seed.
    fn seeded<'p>(&mut self, pipeline: &'p Pipeline<'t>) -> Vec<&'p StageDef<'t>> {
        let mut has_seed = |stage: &&StageDef<'t>| {
            self.params.entry(stage.kind.name).or_insert_with(|| Params::of(&stage.kind)).has("seed")
        };
        pipeline.stages.iter().filter(|stage| has_seed(stage)).collect()
    }

    /// Those of them that stand on no other.
    fn seeded_sources(&mut self, pipeline: &Pipeline<'t>) -> Vec<Spanned<String>> {
        let seeded = self.seeded(pipeline);
        seeded.into_iter().filter(|stage| stage.inputs.is_empty()).map(|stage| stage.name.clone()).collect()
    }

    /// The stages that vary, in the order of the file.
    fn varying(
        &mut self,
        key: &Spanned<String>,
        vary: Option<Vec<Spanned<String>>>,
        share: Option<Vec<Spanned<String>>>,
        pipeline: &Pipeline<'t>,
    ) -> Option<Vec<String>> {
        let seeded: Vec<&str> = self.seeded(pipeline).iter().map(|stage| stage.name.get_ref().as_str()).collect();
        let mut right = true;
        for name in vary.iter().chain(&share).flatten() {
            if seeded.contains(&name.get_ref().as_str()) || pipeline.unread.contains(name.get_ref()) {
                continue;
            }
            right = false;
            let is_stage = pipeline.stages.iter().any(|stage| stage.name.get_ref() == name.get_ref());
            let what = if is_stage { "has no seed" } else { "is no stage" };
            let help = match suggest(name.get_ref(), seeded.iter().copied()) {
                Some(like) => format!("did you mean `{like}`?"),
                None => format!("stages with a seed are {}", listed(&seeded)),
            };
            self.found.push(Diagnostic::new(name.span(), format!("`{}` {what}", name.get_ref())).help(help));
        }
        let holds = |names: &Vec<Spanned<String>>, stage: &str| names.iter().any(|name| name.get_ref() == stage);
        let chosen: Vec<String> = match (&vary, &share) {
            (None, None) => {
                let help =
                    format!("add `vary = [\"…\"]` or `share = [\"…\"]`; stages with a seed are {}", listed(&seeded));
                self.found.push(Diagnostic::new(key.span(), "`seeds` does not say what varies").help(help));
                return None;
            }
            (Some(vary), _) => {
                seeded.iter().filter(|stage| holds(vary, stage)).map(|&stage| stage.to_owned()).collect()
            }
            (None, Some(share)) => {
                seeded.iter().filter(|stage| !holds(share, stage)).map(|&stage| stage.to_owned()).collect()
            }
        };
        if let (Some(vary), Some(share)) = (&vary, &share) {
            let undecided = seeded.iter().filter(|stage| holds(vary, stage) == holds(share, stage));
            for stage in undecided {
                right = false;
                let word = if holds(vary, stage) { "both" } else { "neither" };
                let message = format!("`{stage}` has a seed and is in {word} of `vary` and `share`");
                self.found
                    .push(Diagnostic::new(key.span(), message).help("name it in one of them, or give only one list"));
            }
        }
        if chosen.is_empty() && right {
            self.found.push(Diagnostic::new(key.span(), "no stage varies with the seeds").help("name one in `vary`"));
        }
        (right && !chosen.is_empty()).then_some(chosen)
    }
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
