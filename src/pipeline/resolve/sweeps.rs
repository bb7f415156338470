//! Sweeps: axes over parameters that are there, with their values.

use toml::Spanned;

use super::{
    scope::Scope,
    values::{self, Role},
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Names, Span, quoted},
    pipeline::{
        resolved::Axis,
        written::{
            sweep::{self, Search, Seeds},
            table::Entry,
        },
    },
};

/// One sweep.
#[derive(Default)]
pub(super) struct Sweep<'t> {
    /// Axes; those of one group advance together, a plain axis is alone in its group.
    pub groups: Vec<Vec<Axis<'t>>>,
    /// Points beside the grid.
    pub points: Vec<Point<'t>>,
    /// Points of the grid that are left out.
    pub exclude: Vec<Point<'t>>,
    /// Repeats of every point.
    pub seeds: Seeds<'t>,
    /// How its points are searched.
    pub search: Search<'t>,
}

/// Some axes with the values that an entry of `points` (one each) or `exclude` gives them.
pub(super) struct Point<'t> {
    /// Its place.
    pub span: Span,
    /// An axis for each key.
    pub axes: Vec<Axis<'t>>,
    /// False if a key had a mistake, so that it is not there.
    pub complete: bool,
}

/// All sweeps of a file.
pub(super) struct Sweeps<'t> {
    /// The plain one, if the file has it.
    plain: Option<Sweep<'t>>,
    /// The named ones.
    named: Vec<(Spanned<String>, Sweep<'t>)>,
}

/// Resolves all sweeps, those too that are not chosen.
pub(super) fn resolve<'t>(sweeps: sweep::Sweeps<'t>, scope: &Scope<'t>, diagnostics: &mut Diagnostics) -> Sweeps<'t> {
    let plain = sweeps.plain.map(|sweep| resolve_one(sweep, scope, diagnostics));
    let named = sweeps.named.into_iter().map(|(name, sweep)| (name, resolve_one(sweep, scope, diagnostics)));
    Sweeps { plain, named: named.collect() }
}

impl<'t> Sweeps<'t> {
    /// The names of the sweeps that have one.
    pub(super) fn names(&self) -> Vec<String> {
        self.named.iter().map(|(name, _)| name.get_ref().clone()).collect()
    }

    /// The sweep that is asked for, and what to say about the choice.
    pub(super) fn choose(
        mut self,
        wanted: Option<&Spanned<String>>,
        diagnostics: &mut Diagnostics,
    ) -> (Sweep<'t>, Option<String>) {
        let names = self.names();
        let Some(wanted) = wanted else {
            let note = (self.plain.is_none() && !names.is_empty())
                .then(|| format!("no sweep is chosen: `--sweep NAME` chooses one of {}", quoted(&names)));
            return (self.plain.unwrap_or_default(), note);
        };
        if let Some(at) = names.iter().position(|name| name == wanted.get_ref()) {
            return (self.named.swap_remove(at).1, None);
        }
        let message = format!("there is no sweep `{}`", wanted.get_ref());
        let mut known = Names::new(names.iter().map(String::as_str)).always_listed();
        if names.is_empty() {
            known = known.otherwise("the file has no named sweeps; one is written `[sweep.NAME]`");
        }
        diagnostics.unknown(wanted.span(), message, wanted.get_ref(), &known);
        (Sweep::default(), None)
    }
}

fn resolve_one<'t>(sweep: sweep::Sweep<'t>, scope: &Scope<'t>, diagnostics: &mut Diagnostics) -> Sweep<'t> {
    let mut groups = Vec::new();
    for group in sweep.groups {
        let axes = group.axes.into_iter().filter_map(|entry| axis(entry, Role::Grid, scope, diagnostics));
        let axes: Vec<Axis<'t>> = axes.collect();
        match group.zipped {
            Some(span) => check_lengths(&span, &axes, diagnostics),
            None if axes.is_empty() => continue,
            None => {}
        }
        groups.push(axes);
    }
    keep_first(&mut groups, diagnostics);
    let mut point = |point, role| resolve_point(point, role, scope, diagnostics);
    let points = sweep.points.into_iter().map(|written| point(written, Role::Point)).collect();
    let exclude = sweep.exclude.into_iter().map(|written| point(written, Role::Exclude)).collect();
    Sweep { groups, points, exclude, seeds: sweep.seeds, search: sweep.search }
}

fn resolve_point<'t>(
    point: sweep::Point<'t>,
    role: Role,
    scope: &Scope<'t>,
    diagnostics: &mut Diagnostics,
) -> Point<'t> {
    let keys = point.axes.len();
    let axes: Vec<Axis<'t>> = point
        .axes
        .into_iter()
        .filter_map(|entry| match entry.key.get_ref().as_str() {
            "variant" => {
                let values = values::listed(&entry.key, &entry.value, scope, diagnostics)?;
                Some(Axis::over_variants(entry.key, values))
            }
            _ => axis(entry, role, scope, diagnostics),
        })
        .collect();
    Point { span: point.span, complete: point.complete && axes.len() == keys, axes }
}

/// An axis over a parameter that is there.
fn axis<'t>(
    Entry { key, value }: Entry<'t>,
    role: Role,
    scope: &Scope<'t>,
    diagnostics: &mut Diagnostics,
) -> Option<Axis<'t>> {
    let mut axis = Axis::new(key, Vec::new());
    if !scope.can_vary(&axis, diagnostics) {
        return None;
    }
    axis.values = values::resolve(&axis, value, role, scope, diagnostics)?;
    let right = scope.can_vary(&axis, diagnostics) && values::leave_out(&mut axis, scope, diagnostics);
    right.then_some(axis)
}

/// The axes of a zip group have equally many values.
fn check_lengths(span: &Span, axes: &[Axis<'_>], diagnostics: &mut Diagnostics) {
    let [first, rest @ ..] = axes else { return };
    if rest.is_empty() {
        let message = format!("a zip group of `{}` alone", first.name());
        let help = "a group has two axes or more that advance together; a single axis stands beside `zip`";
        diagnostics.add(Diagnostic::new(span.clone(), message).help(help));
    }
    let Some(other) = rest.iter().find(|axis| axis.values.len() != first.values.len()) else { return };
    let count = |axis: &Axis<'_>| match axis.values.len() {
        1 => "1 value".to_owned(),
        n => format!("{n} values"),
    };
    let message = format!(
        "zipped axes of unequal lengths: `{}` has {}, `{}` has {}",
        first.name(),
        count(first),
        other.name(),
        count(other)
    );
    let diagnostic = Diagnostic::new(other.key.span(), message)
        .label(count(other))
        .other(first.key.span(), count(first))
        .help("zipped axes advance together: give each the same number of values, or cross them outside `zip`");
    diagnostics.add(diagnostic);
}

/// An axis is in one group only; a second time is a mistake.
fn keep_first(groups: &mut [Vec<Axis<'_>>], diagnostics: &mut Diagnostics) {
    let mut seen: Vec<Spanned<String>> = Vec::new();
    for group in groups {
        group.retain(|axis| {
            let before = seen.iter().find(|key| key.get_ref() == axis.name());
            if let Some(before) = before {
                let message = format!("the axis `{}` is there twice", axis.name());
                let diagnostic = Diagnostic::new(axis.key.span(), message).label("again here");
                diagnostics.add(diagnostic.other(before.span(), "first here").help("keep one of the two"));
                return false;
            }
            seen.push(axis.key.clone());
            true
        });
    }
}
