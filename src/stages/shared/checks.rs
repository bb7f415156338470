//! What several kinds say of their parameters and metrics.

use crate::{
    ml::{self, schedule::Schedule},
    stage::{Context, Extent, Metric, Problems},
};

/// Adds the problem of a nested table, with the path of the parameter that holds the table.
pub(in crate::stages) fn nested(problems: &mut Problems, table: &str, checked: Result<(), (&'static str, String)>) {
    if let Err((field, message)) = checked {
        problems.add(&format!("{table}.{field}"), message);
    }
}

/// The parameter for the length of a training.
pub(in crate::stages) const EPOCHS: &str = "epochs";

/// How far a training goes. If the learning rate depends on the number of epochs, or `steps` is set, a longer training
/// cannot continue it. A training of `steps` has at most as many epochs as steps, and may end within an epoch.
pub(in crate::stages) fn extent(
    epochs: usize,
    steps: Option<usize>,
    schedule: &Schedule,
    keep: &[usize],
) -> Option<Extent> {
    let fixed = steps.is_some() || schedule.depends_on_epochs();
    let free: &[&str] = if fixed { &["keep_epochs"] } else { &[EPOCHS, "keep_epochs"] };
    let epochs = steps.unwrap_or(epochs) as u64;
    Some(Extent {
        free: free.to_vec(),
        epochs,
        extends: !fixed,
        keep: keep.iter().map(|&epoch| epoch as u64).collect(),
    })
}

/// Checks that a training is given one length, not both `steps` and `epochs`.
pub(in crate::stages) fn check_steps(problems: &mut Problems, steps: Option<usize>, epochs_too: bool) {
    if let Some(steps) = steps {
        problems.at_least("steps", steps, 1);
        if epochs_too {
            problems.add_with_help(
                "steps",
                "`epochs` is set too, and a training has one length",
                "leave one of them out",
            );
        }
    }
}

/// A request for more bytes than this must be a mistake in the file.
const MOST_BYTES: u128 = 1 << 40;
/// A layer of more outputs than this must be a mistake in the file: the weights between two such layers take 16 GiB.
const MOST_OUTPUTS: usize = 1 << 16;

/// Adds a problem if a parameter asks for a tensor of more than a tebibyte. Its size is the product of `factors`.
pub(in crate::stages) fn check_bytes(problems: &mut Problems, path: &str, factors: &[usize]) {
    let bytes = factors.iter().fold(1, |product: u128, &factor| product.saturating_mul(factor as u128));
    problems.require(bytes <= MOST_BYTES, path, "asks for more than a tebibyte of images or indices");
}

/// Adds a problem if the size of a layer is zero or implausibly large.
pub(in crate::stages) fn check_widths(problems: &mut Problems, path: &str, outputs: &[usize]) {
    if let Some(outputs) = outputs.iter().find(|outputs| !(1..=MOST_OUTPUTS).contains(*outputs)) {
        problems.add(path, format!("must be sizes from 1 to {MOST_OUTPUTS}, got {outputs}"));
    }
}

/// Warns if the warm-up is as long as the training.
pub(in crate::stages) fn check_warmup(problems: &mut Problems, schedule: &Schedule, epochs: usize) {
    let warmup = schedule.warmup_epochs;
    if epochs > 0 && warmup >= epochs as f64 {
        let message = format!(
            "warms up for {warmup} epochs of a training of {epochs}, so the learning rate reaches its value in the last \
             step or never"
        );
        let help = "raise `epochs`, or lower `schedule.warmup_epochs`; 0 means no warm-up";
        problems.warn("schedule.warmup_epochs", message, help);
    }
}

/// Checks that the epochs to keep come before the last one, which is kept anyway.
pub(in crate::stages) fn check_kept(problems: &mut Problems, keep: &[usize], epochs: usize) {
    let fine = keep.iter().all(|epoch| (1..epochs).contains(epoch));
    problems.require(fine, "keep_epochs", format!("must be epochs from 1 to below {epochs}, got {keep:?}"));
}

/// The metrics that every training has.
pub(in crate::stages) fn losses() -> Vec<Metric> {
    vec![
        Metric::new("loss", "mean loss of the epoch").lower(),
        Metric::new("val_loss", "mean loss on held-out images").lower(),
        Metric::new("lr", "learning rate"),
    ]
}

/// Records each named series as a metric, with its value at the epoch whose weights are kept.
pub(in crate::stages) fn record(cx: &mut Context<'_>, run: &ml::train::Run, names: &[&str]) {
    let epoch = run.best.as_ref().map_or(run.epoch, |best| best.epoch);
    for name in names {
        if let Some(&value) = run.series.get(*name).and_then(|values| values.get(epoch.wrapping_sub(1))) {
            cx.metric(*name, value);
        }
    }
}
