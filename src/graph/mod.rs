//! What a pipeline means once its variants, loops and sweep are expanded: all instances, each after those it depends on.
//! Knows no store, no threads, no kind of stage and no tensor.
//!
//! Reading order: `instance`, what comes out; `build`, the merged graph; then the four stations of [`Graph::build`]: `resolve` (checks the
//! `wires`, with `order` and `cycle`), `unrolled` (variants and loops), `projection` (which axes reach what), `expand` (instances,
//! with `definition` for their parameters and `expressions` for `"= 2 * a.b"`). `target` reads names of instances.

mod build;
mod cycle;
mod definition;
mod expand;
mod expressions;
mod instance;
mod name;
mod order;
mod projection;
mod resolve;
mod target;
mod unrolled;
mod wires;

pub use self::{
    build::{Graph, Selection},
    instance::{Axes, Definition, Instance, Link},
    name::InstanceName,
    target::{Target, TargetError, Values},
};
