//! What the command line does to a pipeline: values of parameters, axes, the choice of a sweep and of variants.

use toml::{Spanned, de::DeValue};

use super::{
    Axis, Pipeline, draw, overrides,
    parse::Reader,
    space::{self, Given},
    sweep::Sweeps,
};
use crate::diagnostic::Diagnostic;

impl<'t> Reader<'_, 't> {
    /// The command line, and with it the points of the sweep.
    pub(in crate::pipeline) fn arguments(
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
        self.repeat(&mut sweep, seeds.as_ref(), pipeline, &mut given);
        self.reach(&mut sweep, &mut given);
        let search = std::mem::take(&mut sweep.search);
        self.choose_variants(variants.as_ref(), pipeline, &mut given);
        self.overruled(pipeline, &given);
        let own = |axis: &Axis<'t>, all: &[Axis<'t>]| self.own_value(axis, all, pipeline);
        let (axes, space, found) = space::build(sweep, given, &own);
        self.found.extend(found);
        (pipeline.axes, pipeline.space) = (axes, space);
        self.in_tables(pipeline);
        self.search(&search, pipeline);
    }

    /// One `-S`: a single value replaces the one in the file, several make (or replace) an axis.
    fn apply(&mut self, set: overrides::Override<'t>, pipeline: &mut Pipeline<'t>, given: &mut Given<'t>) {
        let Some(values) = self.ranges(set.values) else { return };
        if let ("pipeline.seed" | "pipeline.name", [value]) = (set.key.get_ref().as_str(), &values[..]) {
            match (set.key.get_ref().as_str(), value.get_ref()) {
                ("pipeline.seed", DeValue::Integer(_)) => self.seed = Some(value.clone()),
                ("pipeline.name", DeValue::String(name)) => pipeline.name = name.to_string(),
                (key, _) => {
                    let what = if key == "pipeline.seed" { "a whole number" } else { "text" };
                    self.found.push(Diagnostic::new(value.span(), format!("`{key}` must be {what}")));
                }
            }
            return;
        }
        let mut axis = Axis::new(set.key, values);
        if !self.can_vary(&axis, pipeline) || !self.left_out(&mut axis, pipeline) {
            return;
        }
        if let Some(drawn) = axis.values.iter().find(|value| draw::read(value.get_ref()).is_some()) {
            let message = format!("`{}` cannot be drawn at random from the command line", axis.key.get_ref());
            let help = "write the distribution into a sweep of the file with a `method`, or list the values";
            self.found.push(Diagnostic::new(drawn.span(), message).help(help));
            return;
        }
        let key = axis.key.get_ref().clone();
        given.axes.retain(|old| *old.key.get_ref() != key);
        given.fixed.retain(|old| *old.key.get_ref() != key);
        match axis.values.len() {
            1 => self.fix(axis, pipeline, given),
            _ => given.axes.push(axis),
        }
    }
}
