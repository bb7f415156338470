//! `-S`: values of the command line in their stages, and where they meet axes. What is asked for is done, or it is a
//! mistake; it is never passed over.

use toml::{Spanned, de::DeValue};

use super::{
    overlaps::{below, no_table, parent},
    scope::{Scope, rounds},
    sweeps::Sweep,
    values,
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    pipeline::{
        document,
        resolved::{Axis, Variant},
        written::{Value, distribution, overrides::Override},
    },
};

/// What stands beside the axes of the file, or in their place.
#[derive(Default)]
pub(super) struct Overrides<'t> {
    /// `pipeline.name` of the command line.
    pub name: Option<String>,
    /// `pipeline.seed` of the command line.
    pub seed: Option<Value<'t>>,
    /// Parameters to which the command line gives one value, and the variant if there is one.
    pub fixed: Vec<Axis<'t>>,
    /// The axis of the variants, and those of the command line.
    pub axes: Vec<Axis<'t>>,
    /// The values of the axis of the variants that are rows.
    pub variants: Vec<u32>,
    /// True if the command line chose the variants.
    pub chooses_variants: bool,
    /// The axis over the seeds of repeats.
    pub repeats: Option<Axis<'t>>,
}

impl<'t> Overrides<'t> {
    /// True if the command line gives the values of an axis.
    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some() || self.axis(key).is_some_and(|axis| !axis.is_variant() || self.chooses_variants)
    }

    /// The one value that it gives to a parameter.
    pub(super) fn value(&self, key: &str) -> Option<&Value<'t>> {
        self.fixed.iter().find(|fixed| fixed.name() == key)?.values.first()
    }

    /// The axis that takes the place of one of the file.
    pub(super) fn axis(&self, key: &str) -> Option<&Axis<'t>> {
        self.axes.iter().find(|axis| axis.name() == key)
    }
}

/// Applies every `-S`: a single value replaces that of the file, several make an axis or replace one.
pub(super) fn apply<'t>(
    sets: Vec<Override<'t>>,
    scope: &mut Scope<'t>,
    diagnostics: &mut Diagnostics,
) -> Overrides<'t> {
    let mut overrides = Overrides::default();
    for set in sets {
        let Some(values) = values::ranges(set.values, scope, diagnostics) else { continue };
        match (set.key.get_ref().as_str(), &values[..]) {
            (key @ ("pipeline.seed" | "pipeline.name"), [value]) => match (key, value.get_ref()) {
                ("pipeline.seed", DeValue::Integer(_)) => overrides.seed = Some(value.clone()),
                ("pipeline.name", DeValue::String(name)) => overrides.name = Some(name.to_string()),
                (key, _) => {
                    let what = if key == "pipeline.seed" { "a whole number" } else { "text" };
                    diagnostics.add(Diagnostic::new(value.span(), format!("`{key}` must be {what}")));
                }
            },
            _ => overrides.apply_one(Axis::new(set.key, values), scope, diagnostics),
        }
    }
    overrides
}

impl<'t> Overrides<'t> {
    fn apply_one(&mut self, mut axis: Axis<'t>, scope: &mut Scope<'t>, diagnostics: &mut Diagnostics) {
        if !scope.can_vary(&axis, diagnostics) || !values::leave_out(&mut axis, scope, diagnostics) {
            return;
        }
        if let Some(drawn) = axis.values.iter().find(|value| distribution::read(value.get_ref()).is_some()) {
            let message = format!("`{}` cannot be drawn at random from the command line", axis.name());
            let help = "write the distribution into a sweep of the file with a `method`, or list the values";
            diagnostics.add(Diagnostic::new(drawn.span(), message).help(help));
            return;
        }
        self.axes.retain(|old| old.name() != axis.name());
        self.fixed.retain(|old| old.name() != axis.name());
        match &axis.values[..] {
            [value] => {
                let value = value.clone();
                self.fix(axis, value, scope, diagnostics);
            }
            _ => self.axes.push(axis),
        }
    }

    /// Puts a single value into its stage or loop.
    fn fix(&mut self, set: Axis<'t>, value: Value<'t>, scope: &mut Scope<'t>, diagnostics: &mut Diagnostics) {
        if let Some(stage) = scope.stages.iter_mut().find(|stage| *stage.name.get_ref() == set.stage) {
            if let Err(span) = document::look_up(&stage.params, &set.path) {
                diagnostics.add(no_table(&set, &parent(&set), span));
                return;
            }
            document::set(&mut stage.params, &set.path, set.key.span(), value.clone());
            // Parts that were given before stay, unless the new table has them too.
            self.fixed.retain(|old| {
                let Some(rest) = below(old, &set) else { return true };
                match (value.get_ref(), document::get(&value, rest)) {
                    (DeValue::Table(_), None) => {
                        let Some(part) = old.values.first() else { return false };
                        document::set(&mut stage.params, &old.path, old.key.span(), part.clone());
                        true
                    }
                    (DeValue::Table(_), Some(_)) => false,
                    _ => {
                        diagnostics.add(no_table(old, set.name(), value.span()));
                        false
                    }
                }
            });
        } else if let Some(found) = scope.loops.iter_mut().find(|found| *found.name.get_ref() == set.stage) {
            found.times = Spanned::new(value.span(), rounds(&value).unwrap_or(1));
        }
        self.fixed.push(set);
    }

    /// Brings single values to the axes above and below them: a part is set in every table of the axis, and a table
    /// that has the parameter of an axis takes the place of the axis.
    pub(super) fn meet(&mut self, sweep: &mut Sweep<'t>, diagnostics: &mut Diagnostics) {
        let Self { axes, fixed, .. } = self;
        let mut more: Vec<Axis<'t>> = Vec::new();
        for set in fixed.iter() {
            let Some(value) = set.values.first() else { continue };
            let is_open = |axis: &Axis<'t>| !fixed.iter().any(|other| other.name() == axis.name());
            let points = sweep.points.iter_mut().chain(&mut sweep.exclude).flat_map(|point| &mut point.axes);
            let of_file = sweep.groups.iter_mut().flatten().chain(points).map(|axis| (false, axis));
            let all = of_file.chain(axes.iter_mut().map(|axis| (true, axis)));
            for (on_command_line, axis) in all.filter(|(_, axis)| is_open(axis)) {
                if below(axis, set).is_some() {
                    if let Some(part) = diagnostics.take(part_of(set, value, axis, on_command_line)).flatten() {
                        more.retain(|known| known.name() != part.name());
                        more.push(part);
                    }
                } else if let Some(rest) = below(set, axis)
                    && let Err(span) = set_in_all(axis, rest, set, value)
                {
                    diagnostics.add(no_table(set, axis.name(), span));
                }
            }
        }
        fixed.extend(more);
    }

    /// Reports values of the command line that all chosen variants set or drop, so that they have no effect.
    pub(super) fn check_effect(&self, variants: &[Variant<'t>], diagnostics: &mut Diagnostics) {
        let chosen: Vec<_> = self.variants.iter().filter_map(|&at| variants.get(at as usize)).collect();
        for set in self.fixed.iter().chain(&self.axes).filter(|set| !set.is_variant() && !chosen.is_empty()) {
            let places: Option<Vec<Span>> = chosen.iter().map(|variant| place_of_change(variant, set)).collect();
            for place in places.into_iter().filter_map(|places| places.first().cloned()) {
                let message =
                    format!("`{}` has no effect: every chosen variant sets it or drops its stage", set.name());
                let diagnostic = Diagnostic::new(set.key.span(), message).other(place, "here");
                diagnostics.add(diagnostic.help("choose other variants with `--variant`, or change the variant"));
            }
        }
    }
}

/// The part of a table that takes the place of an axis, if the table has it.
fn part_of<'t>(
    table: &Axis<'t>,
    value: &Value<'t>,
    axis: &Axis<'t>,
    on_command_line: bool,
) -> Result<Option<Axis<'t>>, Diagnostic> {
    if !value.get_ref().is_table() {
        return Err(no_table(axis, table.name(), value.span()));
    }
    let Some(part) = below(axis, table).and_then(|rest| document::get(value, rest)) else { return Ok(None) };
    if on_command_line {
        let message = format!("`{}` has several values, and the table has one", axis.name());
        let diagnostic = Diagnostic::new(axis.key.span(), message).other(table.key.span(), "the table");
        return Err(diagnostic.help("leave it out of the table"));
    }
    Ok(Some(Axis { values: vec![part.clone()], ..axis.clone() }))
}

/// Sets a part in every table of an axis. An error is the place of the first value that is not a table.
fn set_in_all<'t>(axis: &mut Axis<'t>, rest: &[String], set: &Axis<'t>, value: &Value<'t>) -> Result<(), Span> {
    for to in &mut axis.values {
        let span = to.span();
        let DeValue::Table(table) = to.get_mut() else { return Err(span) };
        document::look_up(table, rest)?;
        document::set(table, rest, set.key.span(), value.clone());
    }
    Ok(())
}

/// The place where a variant sets a parameter or drops its stage.
fn place_of_change(variant: &Variant<'_>, set: &Axis<'_>) -> Option<Span> {
    let mut patches = variant.set.iter();
    let patch = patches.find(|patch| patch.stage == set.stage && set.path.starts_with(&patch.path));
    patch.map(|patch| patch.span.clone()).or_else(|| variant.drops(&set.stage))
}
