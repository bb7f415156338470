//! Programs of the user as kinds of stages: `[kind.NAME]` in a pipeline file. This room knows the contract with
//! programs, and no TOML of pipeline files: a [`Declaration`] comes in, a [`StageKind`] goes out.
//!
//! The contract: a program gets a request as JSON (the path is in `STRATA_REQUEST`) with its parameters and the paths of
//! its inputs and outputs; it writes every output as safetensors in its form, or as any bytes for the form `file`;
//! it may append events to a file. It ends with 0 when all outputs are there. SIGTERM asks it to save its state and end.
//! strata does not sandbox programs.
//!
//! Reading order: `declaration` with `params`; `stage`, a program as a stage; then its parts in the order in which a run
//! needs them: `files`, `request`, `process` with `guard` and `log`, `events`, `outputs`.

mod declaration;
mod events;
mod files;
mod guard;
mod log;
mod outputs;
mod params;
mod process;
mod request;
mod stage;

use std::sync::Arc;

pub use declaration::{Declaration, NoPlaceholder, Piece, ProgramPort, Word};
pub use files::{FilesProblem, files_problem};
pub use params::{Param, ParamType};

use crate::stage::{Description, Port, StageKind};

/// Returns the kind that a declaration describes.
#[must_use]
pub fn kind(declared: Declaration) -> StageKind {
    let port = |port: &ProgramPort| Port {
        name: port.name,
        forms: port.form.alone(),
        optional: port.optional,
        about: port.form.doc(),
    };
    let description = Description {
        name: declared.name,
        version: declared.version,
        inputs: declared.inputs.iter().map(port).collect(),
        outputs: declared.outputs.iter().map(port).collect(),
        extend: declared.extend,
        metrics: declared.metrics.clone(),
    };
    StageKind::new(description, stage::Program(Arc::new(declared)))
}
