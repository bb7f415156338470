//! The meaning of a pipeline after its variants, loops and sweep are expanded: all instances, each after those that it
//! depends on. This module knows no store, no threads, no kind of stage and no tensor.
//!
//! Reading order: `instance`, the result; `build`, the merged graph; then the four steps of [`Graph::build`]: `resolve`
//! (checks the `wires`, with `order` and `cycle`), `unrolled` (variants and loops), `projection` (which axes reach a
//! node), `expand` (instances, with `definition` for their parameters and `expressions` for `"= 2 * a.b"`). `target`
//! parses names of instances; `upstream` collects what an instance depends on.

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
mod upstream;
mod wires;

pub use self::{
    build::{Graph, Selection},
    instance::{Axes, Definition, Instance, InstanceId, Instances, Link, Recorded},
    name::InstanceName,
    target::{Target, TargetError, Values},
};
