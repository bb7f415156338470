//! What the command line does to a pipeline: values of parameters, axes, the choice of a sweep and of variants.

use toml::Spanned;

use super::{
    Axis, Pipeline, document, overrides,
    parse::Reader,
    rounds::times,
    space::{self, Given},
    sweep::Sweeps,
};
use crate::diagnostic::Diagnostic;

impl<'t> Reader<'_, 't> {
    /// The command line, and with it the points of the sweep.
    pub(super) fn arguments(
        &mut self,
        texts: impl Iterator<Item = (usize, &'t str)>,
        sweeps: Sweeps<'t>,
        pipeline: &mut Pipeline<'t>,
    ) {
        let (mut wanted, mut variants, mut seeds, mut given) = (None, None, None, Given::default());
        for (start, argument) in texts {
            let option = |name: &str| {
                let value = argument.strip_prefix(name)?;
                Some(Spanned::new(start + name.len()..start + argument.len(), value.to_owned()))
            };
            if let Some(name) = option("--sweep=") {
                wanted = Some(name);
            } else if let Some(names) = option("--variant=") {
                variants = Some(names);
            } else if let Some(count) = option("--seeds=") {
                seeds = Some(count);
            } else {
                match overrides::parse(argument, start) {
                    Ok(set) => self.apply(set, pipeline, &mut given),
                    Err(diagnostic) => self.found.push(diagnostic),
                }
            }
        }
        pipeline.sweeps = sweeps.named.iter().map(|(name, _)| name.get_ref().clone()).collect();
        let (mut sweep, note) = sweeps.choose(wanted.as_ref(), &mut self.found);
        pipeline.notes.extend(note);
        self.repeat(&mut sweep, seeds.as_ref(), pipeline);
        let search = std::mem::take(&mut sweep.search);
        self.choose_variants(variants.as_ref(), pipeline, &mut given);
        (pipeline.axes, pipeline.space) = space::build(sweep, given, &mut self.found);
        self.search(&search, pipeline);
    }

    /// One `-S`: a single value replaces the one in the file, several make (or replace) an axis.
    fn apply(&mut self, set: overrides::Override<'t>, pipeline: &mut Pipeline<'t>, given: &mut Given<'t>) {
        let Some(values) = self.ranges(set.values) else { return };
        if set.key.get_ref() == "pipeline.seed" && values.len() == 1 {
            if values[0].get_ref().is_integer() {
                self.seed = values.into_iter().next();
            } else {
                self.found.push(Diagnostic::new(values[0].span(), "`seed` must be a whole number"));
            }
            return;
        }
        let axis = Axis::new(set.key, values);
        if !self.can_vary(&axis, pipeline) {
            return;
        }
        let key = axis.key.get_ref().clone();
        given.axes.retain(|old| *old.key.get_ref() != key);
        given.fixed.retain(|(old, _)| *old != key);
        if axis.values.len() > 1 {
            given.axes.push(axis);
            return;
        }
        let Some(value) = axis.values.into_iter().next() else { return };
        given.fixed.push((key, value.clone()));
        if let Some(stage) = pipeline.stages.iter_mut().find(|stage| *stage.name.get_ref() == axis.stage) {
            document::set(&mut stage.params, &axis.path, axis.key.span(), value);
        } else if let Some(found) = pipeline.loops.iter_mut().find(|found| *found.name.get_ref() == axis.stage) {
            found.times = Spanned::new(value.span(), times(value.get_ref()).unwrap_or(1));
        }
    }
}
