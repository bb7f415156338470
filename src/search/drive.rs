//! Climbs the rungs of a halving search. A run and a plan climb in the same way, with different steps.

use std::{collections::BTreeMap, fmt};

use super::{
    error::SearchError,
    ladder::{Climb, Ladder, Point},
};
use crate::{
    graph::{Graph, InstanceId, Selection},
    pipeline::plain,
    store::StoreError,
};

/// What happens to the instances of a rung: they are run, or planned.
pub(super) trait Step {
    /// The result of a step.
    type Output;

    /// Whether a step tries every instance of a rung, so that a missing result means a failure.
    const TRIES: bool;

    /// Runs or plans the instances.
    fn step(&mut self, selection: &Selection) -> Result<Self::Output, StoreError>;

    /// Returns the metrics of an instance, if it has results.
    fn metrics(output: &Self::Output, index: InstanceId) -> Option<&BTreeMap<String, f64>>;

    /// Returns whether the search must end with this rung, because it was interrupted or stopped at a failure.
    fn must_end(&self, output: &Self::Output) -> bool;

    /// Reports the progress of the search.
    fn say(&mut self, remark: Remark);
}

/// A message about the progress of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark(String);

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Runs or plans the wanted instances of a graph, rung by rung if its sweep has a halving search. Also returns whether
/// the search ended without an answer.
///
/// # Errors
/// If the cache cannot be read or written, or no result has the score.
pub(super) fn drive<S: Step>(
    graph: &Graph<'_>,
    wanted: &Selection,
    step: &mut S,
) -> Result<(S::Output, bool), SearchError> {
    let ladder = graph.pipeline.halving.as_ref().map(|halving| (halving, Ladder::new(graph, halving)));
    let Some((halving, mut ladder)) = ladder.filter(|(_, ladder)| ladder.concerns(wanted)) else {
        return Ok((step.step(wanted)?, false));
    };
    let over = &halving.over;
    if S::TRIES {
        ladder.note().into_iter().for_each(|note| step.say(Remark(note)));
        step.say(rung(&ladder, over));
    }
    let mut output = step.step(&ladder.select(wanted))?;
    loop {
        if step.must_end(&output) || !ladder.goes_on(wanted) {
            return Ok((output, false));
        }
        let of = |index: InstanceId| S::metrics(&output, index);
        let mut above = ladder.clone();
        let climb = above.climb(of)?;
        let lacking = if S::TRIES { ladder.without_score(of)? } else { ladder.without_result(of) };
        if S::TRIES && !lacking.is_empty() {
            step.say(without_score(&ladder, &lacking, ""));
        }
        let is_decided = S::TRIES || lacking.is_empty();
        match climb {
            Climb::Up => {
                if S::TRIES {
                    step.say(rung(&above, over));
                }
                let next = step.step(&above.select(wanted))?;
                // A cache does not record failures. But if the next rung has results, the search continued without the
                // points that have none.
                let went_on = || above_has_results::<S>(graph, &above, &next);
                if is_decided || went_on() {
                    if !is_decided {
                        step.say(without_score(&ladder, &lacking, "; a missing result may change the choice"));
                    }
                    (output, ladder) = (next, above);
                    continue;
                }
            }
            Climb::Top(point) if is_decided => {
                step.say(Remark(format!("found {}", words(&point, " "))));
                return Ok((output, false));
            }
            Climb::Nothing if is_decided && S::TRIES => {
                step.say(Remark(format!("{}: the search ends, as no point has a score", place(&ladder))));
                return Ok((output, true));
            }
            Climb::Top(_) | Climb::Nothing => {}
        }
        undecided(&ladder, over, &climb, step);
        return Ok((output, false));
    }
}

fn above_has_results<S: Step>(graph: &Graph<'_>, above: &Ladder<'_, '_>, next: &S::Output) -> bool {
    graph.instances.keys().any(|index| above.is_of_last(index) && S::metrics(next, index).is_some())
}

/// Reports where a plan ends: at a rung with missing results.
fn undecided<S: Step>(ladder: &Ladder<'_, '_>, over: &str, climb: &Climb<'_>, step: &mut S) {
    ladder.note().into_iter().for_each(|note| step.say(Remark(note)));
    let is_last = ladder.rung().0 + 1 == ladder.sizes().len();
    let more = if is_last { "" } else { "; its results decide which points continue, so the next rungs are not known" };
    step.say(Remark(format!("{}{more}", rung(ladder, over))));
    if let Climb::Top(point) = climb {
        step.say(Remark(format!("the best so far is {}", words(point, " "))));
    }
}

/// Formats a rung: `rung 2 of 3: 4 points at simclr.epochs=5`.
fn rung(ladder: &Ladder<'_, '_>, over: &str) -> Remark {
    let ((_, value), points) = (ladder.rung(), ladder.alive().count());
    let noun = if points == 1 { "point" } else { "points" };
    Remark(format!("{}: {points} {noun} at {over}={value}", place(ladder)))
}

/// Formats the number of a rung: `rung 2 of 3`.
fn place(ladder: &Ladder<'_, '_>) -> String {
    format!("rung {} of {}", ladder.rung().0 + 1, ladder.sizes().len())
}

/// The most points that a message names.
const MOST_NAMED: usize = 5;

/// Formats the points without a score: `rung 1 of 3: 2 points have no score and count as the worst
/// (simclr.optimizer.lr=10; simclr.optimizer.lr=100)`.
fn without_score(ladder: &Ladder<'_, '_>, points: &[Point<'_>], then: &str) -> Remark {
    let named: Vec<String> = points.iter().take(MOST_NAMED).map(|point| words(point, ",")).collect();
    let more = if points.len() > MOST_NAMED { "; …" } else { "" };
    let (count, named) = (points.len(), named.join("; "));
    let (noun, have, verb) = if count == 1 { ("point", "has", "counts") } else { ("points", "have", "count") };
    Remark(format!("{}: {count} {noun} {have} no score and {verb} as the worst ({named}{more}){then}", place(ladder)))
}

/// Formats each axis of a point with its value.
fn words(point: &Point<'_>, between: &str) -> String {
    point.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect::<Vec<_>>().join(between)
}
