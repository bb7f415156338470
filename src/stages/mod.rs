//! The kinds of stages: thin glue between the contract and `ml`.
//!
//! A new kind is one file and one line in [`registry`].

mod classifier;
mod dae;
mod dataset;
mod encode;
mod fine_tune;
mod images;
mod network;
mod noise;
mod simclr;
mod supervised;
mod watch;

use crate::{
    ml,
    stage::{Context, Problems, Registry, StageError, StageKind},
};

/// Every kind that a pipeline file may use.
#[must_use]
pub fn registry() -> Registry {
    [
        StageKind::of::<dataset::Dataset>(),
        StageKind::of::<noise::Noise>(),
        StageKind::of::<dae::Dae>(),
        StageKind::of::<encode::Encode>(),
        StageKind::of::<simclr::Simclr>(),
        StageKind::of::<fine_tune::FineTune>(),
        StageKind::of::<supervised::Supervised>(),
    ]
    .into_iter()
    .collect()
}

impl From<ml::Error> for StageError {
    fn from(error: ml::Error) -> Self {
        match error {
            ml::Error::Tensor(error) => Self::Tensor(error),
            ml::Error::Cancelled => Self::Cancelled,
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Notes a problem of a table of parameters under the parameter that holds it.
fn nested(problems: &mut Problems, table: &str, checked: Result<(), (&'static str, String)>) {
    if let Err((field, message)) = checked {
        problems.add(&format!("{table}.{field}"), message);
    }
}

/// Records the named series of a run as metrics: their values at the epoch whose weights are kept.
fn record(cx: &mut Context<'_>, run: &ml::train::Run, names: &[&str]) {
    let epoch = run.best.as_ref().map_or(run.epoch, |best| best.epoch);
    for name in names {
        if let Some(&value) = run.series.get(*name).and_then(|values| values.get(epoch.wrapping_sub(1))) {
            cx.metric(*name, value);
        }
    }
}
