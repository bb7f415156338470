//! Where values of the command line meet axes and other values: a table above, a part below. What is asked is done, or it
//! is a mistake; it is never passed over.

use toml::{Spanned, de::DeValue};

use super::{Axis, Pipeline, document, parse::Reader, rounds::times, space::Given, sweep::Written};
use crate::diagnostic::{Diagnostic, Span};

/// The rest of a key path below another one of the same stage.
fn below<'a>(inner: &'a Axis<'_>, outer: &Axis<'_>) -> Option<&'a [String]> {
    let rest = inner.path.strip_prefix(&outer.path[..]).filter(|rest| !rest.is_empty())?;
    (inner.stage == outer.stage && !outer.is_variant()).then_some(rest)
}

/// The mistakes of axes (or what else `what` says has keys) of which one holds another.
pub(in crate::pipeline) fn overlap(axes: &[Axis<'_>], what: &str) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for inner in axes {
        for outer in axes.iter().filter(|outer| below(inner, outer).is_some()) {
            let (part, whole) = (inner.key.get_ref(), outer.key.get_ref());
            let message =
                format!("the {what} `{whole}` and `{part}` overlap: one gives a table, the other a part of it");
            let help = format!("write `{part}` into the table of `{whole}`, or name each of its parts alone");
            found.push(Diagnostic::new(inner.key.span(), message).other(outer.key.span(), "the table").help(help));
        }
    }
    found
}

fn no_table(part: &Axis<'_>, whole: &str, span: Span) -> Diagnostic {
    let message = format!("`{}` is a part of `{whole}`, which has a value that is not a table", part.key.get_ref());
    let diagnostic = Diagnostic::new(part.key.span(), message).other(span, "no table");
    diagnostic.help(format!("give `{whole}` a table `{{ … }}`, or leave this out"))
}

impl<'t> Reader<'_, 't> {
    /// Puts a single value of the command line into its stage or loop.
    pub(in crate::pipeline) fn fix(&mut self, set: Axis<'t>, pipeline: &mut Pipeline<'t>, given: &mut Given<'t>) {
        let Some(value) = set.values.first().cloned() else { return };
        if let Some(stage) = pipeline.stages.iter_mut().find(|stage| *stage.name.get_ref() == set.stage) {
            if let Err(span) = document::look_up(&stage.params, &set.path) {
                let whole = format!("{}.{}", set.stage, set.path[..set.path.len() - 1].join("."));
                self.found.push(no_table(&set, &whole, span));
                return;
            }
            document::set(&mut stage.params, &set.path, set.key.span(), value.clone());
            // Parts that were given before stay, unless the new table has them too.
            given.fixed.retain(|old| {
                let Some(rest) = below(old, &set) else { return true };
                match (value.get_ref(), document::get(&value, rest)) {
                    (DeValue::Table(_), None) => {
                        let Some(part) = old.values.first() else { return false };
                        document::set(&mut stage.params, &old.path, old.key.span(), part.clone());
                        true
                    }
                    (DeValue::Table(_), Some(_)) => false,
                    _ => {
                        self.found.push(no_table(old, set.key.get_ref(), value.span()));
                        false
                    }
                }
            });
        } else if let Some(found) = pipeline.loops.iter_mut().find(|found| *found.name.get_ref() == set.stage) {
            found.times = Spanned::new(value.span(), times(value.get_ref()).unwrap_or(1));
        }
        given.fixed.push(set);
    }

    /// Brings single values of the command line to axes above and below them: a part is set in every table of the axis, and
    /// a table that has the parameter of an axis takes the place of the axis.
    pub(in crate::pipeline) fn reach(&mut self, sweep: &mut Written<'t>, given: &mut Given<'t>) {
        let Given { axes, fixed, .. } = given;
        let mut more: Vec<Axis<'t>> = Vec::new();
        for set in fixed.iter() {
            let Some(value) = set.values.first() else { continue };
            let taken = |axis: &&mut Axis<'t>| fixed.iter().any(|other| other.key.get_ref() == axis.key.get_ref());
            let entries = sweep.points.iter_mut().chain(&mut sweep.exclude).flat_map(|entry| &mut entry.axes);
            let of_file = sweep.groups.iter_mut().flatten().chain(entries).map(|axis| (false, axis));
            let all = of_file.chain(axes.iter_mut().map(|axis| (true, axis)));
            for (on_command_line, axis) in all.filter(|(_, axis)| !taken(axis)) {
                if let Some(rest) = below(axis, set) {
                    match document::get(value, rest) {
                        _ if !value.get_ref().is_table() => {
                            self.found.push(no_table(axis, set.key.get_ref(), value.span()));
                        }
                        Some(_) if on_command_line => {
                            let message = format!("`{}` has several values, and the table has one", axis.key.get_ref());
                            let diagnostic =
                                Diagnostic::new(axis.key.span(), message).other(set.key.span(), "the table");
                            self.found.push(diagnostic.help("leave it out of the table"));
                        }
                        Some(inner) => {
                            let axis = Axis { values: vec![inner.clone()], ..axis.clone() };
                            more.retain(|known| known.key.get_ref() != axis.key.get_ref());
                            more.push(axis);
                        }
                        None => {}
                    }
                } else if let Some(rest) = below(set, axis) {
                    let whole = axis.key.get_ref();
                    let fits = |to: &mut Spanned<DeValue<'t>>| {
                        let span = to.span();
                        let DeValue::Table(table) = to.get_mut() else { return Err(span) };
                        document::look_up(table, rest)?;
                        document::set(table, rest, set.key.span(), value.clone());
                        Ok(())
                    };
                    if let Some(span) = axis.values.iter_mut().find_map(|to| fits(to).err()) {
                        self.found.push(no_table(set, whole, span));
                    }
                }
            }
        }
        fixed.extend(more);
    }

    /// Notes values of the command line that all chosen variants set or drop, so that they have no effect.
    pub(in crate::pipeline) fn overruled(&mut self, pipeline: &Pipeline<'t>, given: &Given<'t>) {
        let chosen: Vec<_> = given.variants.iter().filter_map(|&at| pipeline.variants.get(at as usize)).collect();
        for set in given.fixed.iter().chain(&given.axes).filter(|set| !set.is_variant() && !chosen.is_empty()) {
            let by = |at: &usize| {
                let patches = chosen[*at].set.iter();
                let mut own = patches.filter(|patch| patch.stage == set.stage && set.path.starts_with(&patch.path));
                own.next().map(|patch| patch.span.clone()).or_else(|| chosen[*at].drops(&set.stage))
            };
            let places: Option<Vec<Span>> = (0..chosen.len()).map(|at| by(&at)).collect();
            for place in places.into_iter().filter_map(|places| places.first().cloned()) {
                let key = set.key.get_ref();
                let message = format!("`{key}` has no effect: every chosen variant sets it or drops its stage");
                let diagnostic = Diagnostic::new(set.key.span(), message).other(place, "here");
                self.found.push(diagnostic.help("choose other variants with `--variant`, or change the variant"));
            }
        }
    }

    /// Notes axes and values of variants that are a part of something that is not a table, such as an expression.
    pub(in crate::pipeline) fn in_tables(&mut self, pipeline: &Pipeline<'t>) {
        let patch_axis = |patch: &super::Patch<'t>| {
            let name = format!("{}.{}", patch.stage, patch.path.join("."));
            Axis::new(Spanned::new(patch.span.clone(), name), Vec::new())
        };
        let patches = pipeline.variants.iter().flat_map(|variant| &variant.set).map(patch_axis);
        for part in pipeline.axes.iter().filter(|axis| !axis.is_variant()).cloned().chain(patches) {
            let stage = pipeline.stages.iter().find(|stage| *stage.name.get_ref() == part.stage);
            if let Some(Err(span)) = stage.map(|stage| document::look_up(&stage.params, &part.path)) {
                let whole = format!("{}.{}", part.stage, part.path[..part.path.len() - 1].join("."));
                self.found.push(no_table(&part, &whole, span));
            }
        }
    }
}
