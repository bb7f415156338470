//! `seeds`, `vary` and `share` of a sweep: the same experiment several times.
//!
//! The repeats are one axis: the seed of the first stage that varies. The other stages take it over by an expression,
//! so two arms with the same seed draw the same random numbers. Once the
//! points are known, the axis is called `seed`.

use std::{borrow::Cow, collections::BTreeSet};

use toml::{Spanned, de::DeValue};

use super::{overrides::Overrides, scope::Scope, sweeps::Sweep, values::computed};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Names, Span, quoted},
    pipeline::{
        document,
        limits::MAX_SEEDS,
        resolved::{Axis, StageDef, Variant},
        written::{Value, sweep::Seeds, table::Entry},
    },
};

/// The name of the axis of the repeats.
const SEED: &str = "seed";

/// What repeats are made of.
pub(super) struct Request<'a, 't> {
    /// `--seeds`, which takes the place of the number of seeds in the file.
    pub count: Option<&'a Spanned<String>>,
    /// The pipeline's seed.
    pub first: Option<&'a Value<'t>>,
    /// The variants of the file.
    pub variants: &'a [Variant<'t>],
}

/// The axis of the repeats. The seeds of all other stages that vary are set to it.
pub(super) fn resolve<'t>(
    sweep: &mut Sweep<'t>,
    request: &Request<'_, 't>,
    overrides: &Overrides<'t>,
    scope: &mut Scope<'t>,
    diagnostics: &mut Diagnostics,
) -> Option<Axis<'t>> {
    let mut seeds = std::mem::take(&mut sweep.seeds);
    let says_nothing = seeds.seeds.is_none() && seeds.vary.is_none() && seeds.share.is_none();
    if let Some(count) = request.count.filter(|_| says_nothing) {
        seeds = default_seeds(count, scope)?;
    }
    let Some(Entry { key, value }) = &seeds.seeds else {
        if let Some(name) = seeds.vary.iter().chain(&seeds.share).flatten().next() {
            let message = "`vary` and `share` say which seeds vary, but there are no `seeds`";
            diagnostics.add(Diagnostic::new(name.span(), message).help("add `seeds = 5`"));
        }
        return None;
    };
    let numbers = diagnostics.take(numbers(value, request))?;
    let stages = varying(key, seeds.vary.as_deref(), seeds.share.as_deref(), scope, diagnostics)?;
    let clashes = clashes(key, &stages, sweep, request.variants, overrides, scope);
    if !clashes.is_empty() {
        diagnostics.extend(clashes);
        return None;
    }
    let (first, others) = stages.split_first()?;
    let name = format!("{first}.seed");
    for stage in scope.stages.iter_mut().filter(|stage| others.contains(stage.name.get_ref())) {
        let tied = DeValue::String(Cow::Owned(format!("= {name}")));
        document::set(&mut stage.params, &["seed".to_owned()], key.span(), Spanned::new(value.span(), tied));
    }
    let values = numbers.into_iter().filter_map(|number| computed(number.to_string(), &value.span(), scope)).collect();
    Some(Axis::new(Spanned::new(key.span(), name), values))
}

/// Calls the axis of the repeats `seed`, whichever stage's seed it is, and returns its name. Only where a loop is called so
/// does it keep its own.
pub(super) fn named(name: String, axes: &mut [Axis<'_>], scope: &Scope<'_>) -> String {
    let is_taken = scope.find_loop(SEED).is_some();
    match axes.iter_mut().find(|axis| axis.name() == name).filter(|_| !is_taken) {
        Some(axis) => {
            axis.key = Spanned::new(axis.key.span(), SEED.to_owned());
            SEED.to_owned()
        }
        None => name,
    }
}

/// The seeds of a file that says nothing of them, where the command line asks for some: every stage with a seed varies,
/// except the data.
fn default_seeds<'t>(count: &Spanned<String>, scope: &Scope<'t>) -> Option<Seeds<'t>> {
    let key = Spanned::new(count.span(), "seeds".to_owned());
    let value = computed("1".to_owned(), &count.span(), scope)?;
    let sources = seeded(scope).into_iter().filter(|stage| stage.inputs.is_empty());
    let share = sources.map(|stage| stage.name.clone()).collect();
    Some(Seeds { seeds: Some(Entry { key, value }), vary: None, share: Some(share) })
}

/// The mistakes of seeds that something else gives to a stage that varies.
fn clashes<'t>(
    key: &Spanned<String>,
    stages: &[String],
    sweep: &Sweep<'t>,
    variants: &[Variant<'t>],
    overrides: &Overrides<'t>,
    scope: &Scope<'t>,
) -> Vec<Diagnostic> {
    let mut mistakes = Vec::new();
    let mut add = |span: Span, stage: &str, what: &str| {
        let message = format!("`{stage}.seed` {what}, and `seeds` varies it too");
        let help = format!("keep one of the two: leave the seed out, or name `{stage}` in `share`, not in `vary`");
        mistakes.push(Diagnostic::new(span, message).other(key.span(), "here").help(help));
    };
    let of_points = sweep.points.iter().flat_map(|point| &point.axes);
    let of_file = sweep.groups.iter().flatten().chain(of_points);
    for axis in of_file.chain(&overrides.axes).filter(|axis| axis.path == ["seed"] && stages.contains(&axis.stage)) {
        add(axis.key.span(), &axis.stage, "is an axis");
    }
    for stage in scope.stages.iter().filter(|stage| stages.contains(stage.name.get_ref())) {
        for (name, _) in stage.params.iter().filter(|(name, _)| name.get_ref() == "seed") {
            add(name.span(), stage.name.get_ref(), "is set");
        }
    }
    for patch in variants.iter().flat_map(|variant| &variant.set) {
        if patch.path == ["seed"] && stages.contains(&patch.stage) {
            add(patch.span.clone(), &patch.stage, "is set by a variant");
        }
    }
    mistakes
}

/// The seeds: so many from the pipeline's on, or those of a list. Another number of them continues either.
fn numbers(value: &Value<'_>, request: &Request<'_, '_>) -> Result<Vec<u64>, Diagnostic> {
    let limits = 1..=MAX_SEEDS;
    let list = value.get_ref().as_array().map(|items| items.iter().map(whole).collect::<Option<Vec<u64>>>());
    let (listed, count) = match list {
        Some(list) => {
            let mut known = BTreeSet::new();
            let once: Option<Vec<u64>> = list.map(|list| list.into_iter().filter(|seed| known.insert(*seed)).collect());
            let count = once.as_ref().map(|listed| listed.len() as u64);
            (once.unwrap_or_default(), count)
        }
        None => (Vec::new(), whole(value)),
    };
    let Some(count) = count.filter(|count| limits.contains(count)) else {
        let message = "`seeds` must be a number of seeds, at least 1, or a list of seeds";
        return Err(Diagnostic::new(value.span(), message));
    };
    let count = match request.count {
        None => count,
        Some(wanted) => wanted.get_ref().parse().ok().filter(|count| limits.contains(count)).ok_or_else(|| {
            Diagnostic::new(wanted.span(), format!("`--seeds` must be a number from 1 to {MAX_SEEDS}"))
        })?,
    };
    let more = count.saturating_sub(listed.len() as u64);
    let next = match listed.iter().max() {
        None => Some(request.first.and_then(whole).unwrap_or(0)),
        Some(last) => last.checked_add(1),
    };
    let continued = |next: u64| next.checked_add(more.saturating_sub(1)).map(|last| (next..=last).collect::<Vec<_>>());
    let more = match next.and_then(continued) {
        _ if more == 0 => Vec::new(),
        Some(numbers) => numbers,
        None => {
            let message = format!("there are not that many seeds up to the largest, {}", u64::MAX);
            let help = "start lower: `[pipeline] seed` is the first";
            return Err(Diagnostic::new(value.span(), message).help(help));
        }
    };
    Ok(listed.into_iter().chain(more).take(count as usize).collect())
}

fn whole(value: &Value<'_>) -> Option<u64> {
    document::whole(value.get_ref()).and_then(|whole| u64::try_from(whole).ok())
}

/// The stages with a seed.
fn seeded<'a, 't>(scope: &'a Scope<'t>) -> Vec<&'a StageDef<'t>> {
    scope.stages.iter().filter(|stage| scope.has_seed(stage)).collect()
}

/// The stages that vary, in the order of the file.
fn varying(
    key: &Spanned<String>,
    vary: Option<&[Spanned<String>]>,
    share: Option<&[Spanned<String>]>,
    scope: &Scope<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<String>> {
    let seeded: Vec<&str> = seeded(scope).iter().map(|stage| stage.name.get_ref().as_str()).collect();
    let with_seed = format!("stages with a seed are {}", quoted(&seeded));
    let mut right = true;
    for name in vary.into_iter().chain(share).flatten() {
        if seeded.contains(&name.get_ref().as_str()) || scope.unread.contains(name.get_ref()) {
            continue;
        }
        right = false;
        let what = if scope.stage(name.get_ref()).is_some() { "has no seed" } else { "is not a stage" };
        let message = format!("`{}` {what}", name.get_ref());
        let names = Names::new(seeded.iter().copied()).otherwise(with_seed.clone());
        diagnostics.unknown(name.span(), message, name.get_ref(), &names);
    }
    let holds = |names: &[Spanned<String>], stage: &str| names.iter().any(|name| name.get_ref() == stage);
    let varies = |stage: &str| match (vary, share) {
        (Some(vary), _) => holds(vary, stage),
        (None, share) => !share.is_some_and(|share| holds(share, stage)),
    };
    match (vary, share) {
        (None, None) => {
            let help = format!("add `vary = [\"…\"]` or `share = [\"…\"]`; {with_seed}");
            diagnostics.add(Diagnostic::new(key.span(), "`seeds` does not say what varies").help(help));
            return None;
        }
        (Some(vary), Some(share)) => {
            for stage in seeded.iter().filter(|stage| holds(vary, stage) == holds(share, stage)) {
                right = false;
                let word = if holds(vary, stage) { "both" } else { "neither" };
                let message = format!("`{stage}` has a seed and is in {word} of `vary` and `share`");
                let help = "name it in one of them, or give only one list";
                diagnostics.add(Diagnostic::new(key.span(), message).help(help));
            }
        }
        _ => {}
    }
    let chosen: Vec<String> = seeded.iter().filter(|stage| varies(stage)).map(|&stage| stage.to_owned()).collect();
    if chosen.is_empty() && right {
        diagnostics.add(Diagnostic::new(key.span(), "no stage varies with the seeds").help("name one in `vary`"));
    }
    (right && !chosen.is_empty()).then_some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds(written: &str, first: Option<&str>, count: Option<&str>) -> Result<Vec<u64>, String> {
        let parse = |text| DeValue::parse(text).expect("a value");
        let (first, count) = (first.map(parse), count.map(|count| Spanned::new(0..0, count.to_owned())));
        let request = Request { count: count.as_ref(), first: first.as_ref(), variants: &[] };
        numbers(&parse(written), &request).map_err(|diagnostic| diagnostic.message)
    }

    #[test]
    fn seeds_count_from_that_of_the_pipeline_or_continue_a_list() {
        assert_eq!(seeds("3", None, None), Ok(vec![0, 1, 2]));
        assert_eq!(seeds("2", Some("40"), None), Ok(vec![40, 41]));
        assert_eq!(seeds("[7, 3, 7]", Some("40"), None), Ok(vec![7, 3]));
        assert_eq!(seeds("[7, 3]", None, Some("4")), Ok(vec![7, 3, 8, 9]));
        assert_eq!(seeds("5", None, Some("2")), Ok(vec![0, 1]));
        let largest = u64::MAX.to_string();
        assert_eq!(seeds(&format!("[{largest}]"), None, None), Ok(vec![u64::MAX]));
        assert!(seeds(&format!("[{largest}]"), None, Some("2")).is_err());
        for written in ["0", "[]", "\"two\"", "[1, -1]", "10001"] {
            assert!(seeds(written, None, None).is_err(), "{written}");
        }
        assert!(seeds("1", None, Some("0")).is_err());
    }
}
