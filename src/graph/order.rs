//! Loops before they are unrolled: their numbers of rounds, references to a round, and an order of the stages that
//! keeps each loop body contiguous.

use super::wires::{Patched, Wires, did_you_mean};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    pipeline::{Loop, Pipeline, StageDef, document},
};

/// The numbers of rounds of a loop.
pub(super) struct Times {
    /// The axis that varies them, as an index into the pipeline's axes.
    pub axis: Option<usize>,
    /// The number for each value of the axis, or a single number without an axis.
    pub values: Vec<usize>,
}

/// Returns the numbers of rounds of a loop.
pub(super) fn times(pipeline: &Pipeline<'_>, around: &Loop) -> Times {
    let axis = pipeline.axes.iter().position(|axis| !axis.is_variant() && axis.stage == *around.name.get_ref());
    let values = match axis {
        Some(axis) => pipeline.axes[axis]
            .values
            .iter()
            .filter_map(|value| usize::try_from(document::whole(value.get_ref())?).ok())
            .collect(),
        None => vec![*around.times.get_ref()],
    };
    Times { axis, values }
}

/// Returns the stages of each loop body, as indices, without those that the variant drops.
pub(super) fn bodies(patched: &Patched<'_, '_>) -> Vec<Vec<usize>> {
    let body = |around: &Loop| {
        let inside =
            |stage: &Option<StageDef<'_>>| stage.as_ref().is_some_and(|stage| around.holds(stage.name.get_ref()));
        (0..patched.stages.len()).filter(|&at| inside(&patched.stages[at])).collect()
    };
    patched.pipeline.loops.iter().map(body).collect()
}

/// Returns a topological order that keeps file order and keeps each loop body contiguous, or `None` if there is none.
pub(super) fn order(wires: &Wires, bodies: &[Vec<usize>]) -> Option<Vec<usize>> {
    let body_of = |stage: usize| bodies.iter().find(|body| body.contains(&stage));
    let mut order = Vec::new();
    let mut placed = vec![false; wires.len()];
    while order.len() < wires.len() {
        let ready = |stage: &usize, placed: &[bool]| {
            let together = body_of(*stage).map_or(std::slice::from_ref(stage), Vec::as_slice);
            let outside = |from: usize| placed[from] || (together.len() > 1 && together.contains(&from));
            !placed[*stage] && together.iter().all(|&stage| wires[stage].iter().all(|wire| outside(wire.from)))
        };
        let next = (0..wires.len()).find(|stage| ready(stage, &placed))?;
        let mut together = body_of(next).cloned().unwrap_or_else(|| vec![next]);
        while !together.is_empty() {
            let free = |&stage: &usize| wires[stage].iter().all(|wire| placed[wire.from]);
            let at = together.iter().position(free)?;
            let stage = together.remove(at);
            placed[stage] = true;
            order.push(stage);
        }
    }
    Some(order)
}

/// Reports stages that depend on a loop body and that the body depends on, without belonging to it.
pub(super) fn between(patched: &Patched<'_, '_>, wires: &Wires) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (around, body) in patched.pipeline.loops.iter().zip(bodies(patched)) {
        let reach = |start: &[usize], next: &dyn Fn(usize) -> Vec<usize>| {
            let mut seen = vec![false; wires.len()];
            let mut open = start.to_vec();
            while let Some(stage) = open.pop() {
                for other in next(stage) {
                    if !std::mem::replace(&mut seen[other], true) {
                        open.push(other);
                    }
                }
            }
            seen
        };
        let above = reach(&body, &|stage| wires[stage].iter().map(|wire| wire.from).collect());
        let below = reach(&body, &|stage| {
            (0..wires.len()).filter(|&other| wires[other].iter().any(|wire| wire.from == stage)).collect()
        });
        for (stage, def) in patched.stages.iter().enumerate().filter(|&(stage, _)| above[stage] && below[stage]) {
            let Some(def) = def.as_ref().filter(|_| !body.contains(&stage)) else { continue };
            let (name, around) = (def.name.get_ref(), around.name.clone());
            let message =
                format!("stage `{name}` runs between stages of loop `{}`, but is not in its body", around.get_ref());
            let diagnostic = Diagnostic::new(around.span(), message).other(def.name.span(), "this stage");
            found.push(diagnostic.help(format!("add \"{name}\" to `body`")));
        }
    }
    found
}

/// Parses the number in `STAGE@LOOP=ROUND`.
pub(super) fn named(
    round: &str,
    taker: &StageDef<'_>,
    maker: &StageDef<'_>,
    span: &Span,
    patched: &Patched<'_, '_>,
    found: &mut Diagnostics,
) -> Option<usize> {
    let maker = maker.name.get_ref();
    let around = patched.pipeline.loops.iter().find(|around| around.holds(maker));
    let Some(around) = around else {
        let message = format!("stage `{maker}` is in no loop, so it has no rounds");
        let help = "without `@…` it is the stage itself; epochs are named after the port: `weights@5`";
        found.add(Diagnostic::new(span.clone(), message).help(help));
        return None;
    };
    let name = around.name.get_ref();
    let least = times(patched.pipeline, around).values.into_iter().min().unwrap_or(1);
    let (word, number) = round.split_once('=').unwrap_or((round, ""));
    let (message, help) = match number.parse::<usize>() {
        _ if word != name => (format!("`{maker}` is not in a loop `{word}`"), did_you_mean(word, &[name])),
        _ if around.holds(taker.name.get_ref()) => (
            format!("`{}` is in loop `{name}` too, where a stage takes what its own round made", taker.name.get_ref()),
            "use `carry` for what the round before made".to_owned(),
        ),
        Ok(number) if (1..=least).contains(&number) => return Some(number),
        Ok(_) => (format!("loop `{name}` has no round {number}"), format!("it has rounds 1 to {least}")),
        Err(_) => (format!("`{round}` does not name a round"), format!("write `{maker}@{name}=1`")),
    };
    found.add(Diagnostic::new(span.clone(), message).help(help));
    None
}
