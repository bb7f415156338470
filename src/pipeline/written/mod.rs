//! The content of a pipeline file and of the command line: values with their places, without defaults, and without a
//! look at the kinds of stages. Checks that need a kind are in [`resolve`](super::resolve).
//!
//! Read [`file`](mod@file) first: it takes the top of a file apart. Then one file for each table: [`stage`], [`loops`],
//! [`variant`], [`sweep`]; [`arguments`] and [`overrides`] for the command line. [`range`] and [`distribution`] are
//! texts that stand for values of an axis, [`table`] has what several of these files need, and [`toml_help`] says what
//! is wrong with a text that is not TOML.

pub(super) mod arguments;
pub(super) mod distribution;
pub(super) mod file;
pub(super) mod kind;
mod kind_params;
pub(super) mod loops;
pub(super) mod overrides;
pub(super) mod range;
pub(super) mod resources;
pub(super) mod stage;
pub(super) mod sweep;
pub(super) mod table;
mod toml_help;
pub(super) mod variant;

use toml::{Spanned, de::DeValue};

/// A value and its place.
pub(super) type Value<'t> = Spanned<DeValue<'t>>;
