//! Makes a [`Pipeline`] of a written file and the arguments of the command line: every key names a parameter that
//! exists, and the command line has the last word on values.
//!
//! [`resolve`] calls one function for each step, in an order in which each step needs only those before it; read it
//! first. Then [`scope`](mod@scope) (what keys can name) and the steps:
//!
//! 1. `kinds`: those of strata, and those that the file declares; `stages` (with `params`: the parameters of a kind),
//!    `loops`, `variants`, and `sweeps` with the `values` of axes;
//! 2. `overrides`: what `-S` changes in all of these, with `overlaps` of tables and their parts;
//! 3. `seeds`: the axis of repeats;
//! 4. `grid`: axes and points;
//! 5. `search`: some of the points;
//! 6. `expressions`: those that are wrong are taken out.
//!
//! `typed` reads typed parameters for later steps, and `type_errors` words what serde says of them.

mod expressions;
mod grid;
mod kinds;
mod loops;
mod overlaps;
mod overrides;
pub(super) mod params;
mod scope;
mod search;
mod seeds;
mod stages;
mod sweeps;
mod type_errors;
pub(super) mod typed;
mod values;
mod variants;

use super::{
    resolved::Pipeline,
    written::{arguments::Arguments, file::File},
};
use crate::{diagnostic::Diagnostics, stage::Registry};

/// The pipeline of a file and the arguments of the command line. `empty` has the paths and the name of the file.
pub(super) fn resolve<'t>(
    file: File<'t>,
    arguments: Arguments<'t>,
    empty: Pipeline<'t>,
    registry: &Registry,
    diagnostics: &mut Diagnostics,
) -> Pipeline<'t> {
    let kinds = kinds::resolve(file.kinds, file.kinds_are_complete, registry, diagnostics);
    let mut scope = stages::resolve(file.stages, &kinds, empty.sources, diagnostics);
    if !empty.recorded {
        kinds.check_files(&scope.stages, &empty.root, diagnostics);
    }
    scope.loops = loops::resolve(file.loops, &scope, diagnostics);
    let variants = variants::resolve(file.variants, &scope, diagnostics);
    let sweeps = sweeps::resolve(file.sweeps, &scope, diagnostics);

    let mut overrides = overrides::apply(arguments.overrides, &mut scope, diagnostics);
    let seed = overrides.seed.take().or(file.seed);
    let names = sweeps.names();
    let (mut sweep, note) = sweeps.choose(arguments.sweep.as_ref(), diagnostics);
    let request = seeds::Request { count: arguments.seeds.as_ref(), first: seed.as_ref(), variants: &variants };
    overrides.repeats = seeds::resolve(&mut sweep, &request, &overrides, &mut scope, diagnostics);
    let repeats = overrides.repeats.as_ref().map(|axis| axis.name().to_owned());
    overrides.meet(&mut sweep, diagnostics);
    let mut variants = variants::choose(variants, arguments.variants.as_ref(), &mut overrides, diagnostics);
    overrides.check_effect(&variants, diagnostics);

    let values = grid::FileValues { scope: &scope, variants: &variants, seed: seed.as_ref() };
    let grid = grid::build(&sweep, &overrides, &values, diagnostics);
    overlaps::check_tables(&grid.axes, &variants, &scope, diagnostics);
    let source = search::Source { scope: &scope, seed: seed.as_ref(), repeats: repeats.as_deref() };
    let (mut grid, halving) = search::resolve(&sweep.search, grid, &source, diagnostics);

    if let Some(seed) = &seed {
        stages::give_seed(&mut scope, seed);
    }
    let mut wrong = expressions::check(&grid.axes, &variants, &scope, diagnostics);
    wrong.extend(values::check_left_out(&grid.axes, &variants, &scope, diagnostics));
    expressions::take_out(&wrong, &mut scope, &mut variants);

    let repeats = repeats.map(|name| seeds::named(name, &mut grid.axes, &scope));
    Pipeline {
        name: overrides.name.or(file.name).unwrap_or(empty.name),
        stages: scope.stages,
        unread: scope.unread,
        axes: grid.axes,
        space: grid.space,
        variants,
        repeats,
        halving,
        loops: scope.loops,
        sweeps: names,
        programs: kinds.programs.into_iter().map(|(name, program)| (name, program.run)).collect(),
        notes: note.into_iter().collect(),
        ..empty
    }
}
