//! Mistakes in what the user wrote, with their places.
//!
//! Read in this order: `sources` has the texts and the places in them, `message` a mistake or warning about a place,
//! `suggest` finds the name that was probably meant, and `collector` gathers messages, each once.

mod collector;
mod message;
mod sources;
mod suggest;

pub use collector::{Diagnostics, MAX_SHOWN};
pub use message::{Diagnostic, Severity};
pub use sources::{Place, Sources, Span};
pub(crate) use suggest::quoted;
pub use suggest::{Names, suggest};
