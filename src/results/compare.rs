//! Tests whether arms of an experiment differ: paired differences over seeds and other axes, with intervals and a
//! verdict.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    contrast::Arm,
    error::ResultsError,
    grid::{Align, Grid},
    metric::Metrics,
    statistics::{Estimate, differs, holm, paired_p},
};
use crate::{
    digest::StageKey,
    graph::{Graph, InstanceId},
    pipeline::{plain, quoted},
    store::Manifest,
};

/// The comparison of one arm with the baseline in one metric. Means are over the pairs.
#[derive(Serialize)]
pub struct Comparison<'a> {
    /// The arm, as the user wrote it.
    pub arm: &'a str,
    /// The metric.
    pub metric: &'a str,
    /// The number of pairs.
    pub pairs: usize,
    /// The number of seeds among the pairs.
    pub seeds: usize,
    /// The number of instances, of either arm, that have no partner.
    pub unpaired: usize,
    /// The mean of the baseline.
    pub baseline_mean: Option<f64>,
    /// The mean of the arm.
    pub arm_mean: Option<f64>,
    /// The mean of the arm's differences from the baseline.
    pub difference: Option<f64>,
    /// The lower end of its 95 % interval.
    pub difference_low: Option<f64>,
    /// The upper end of its 95 % interval.
    pub difference_high: Option<f64>,
    /// The two-sided p-value of the paired t-test.
    pub p: Option<f64>,
    /// The p-value after Holm's correction.
    pub p_adjusted: Option<f64>,
    /// Whether the corrected p-value is below 5 %.
    pub differs: Option<bool>,
    /// The conclusion in words.
    pub verdict: String,
}

/// The axes that both arms leave open, with their values. They pair instances of one arm with those of the other.
type Pairing<'a> = BTreeMap<&'a str, String>;
/// Values of a metric in an arm with the keys of their work, by the pairing.
type Values<'a> = BTreeMap<Pairing<'a>, Vec<(StageKey, f64)>>;

/// Compares each arm with the baseline in each metric. `made` has the manifests of instances that have results.
///
/// # Errors
/// If no instance has a metric, an instance lacks it or has no finite value of it, or instances cannot be paired.
pub fn compare<'a>(
    graph: &Graph<'_>,
    made: &BTreeMap<InstanceId, &Manifest>,
    baseline: &Arm<'_>,
    arms: &[Arm<'a>],
    metrics: &'a [String],
) -> Result<Vec<Comparison<'a>>, ResultsError> {
    let keys: BTreeMap<InstanceId, StageKey> = made.iter().map(|(index, made)| (*index, made.recipe.key())).collect();
    for metric in metrics.iter().filter(|_| !made.is_empty()) {
        if !made.values().any(|made| made.metrics.contains_key(metric)) {
            let known: BTreeSet<&str> =
                made.values().flat_map(|made| made.metrics.keys().map(String::as_str)).collect();
            let known = quoted(&known.into_iter().collect::<Vec<_>>());
            return Err(ResultsError::Ask(format!("no instance has the metric `{metric}`; there are {known}")));
        }
    }
    let mut comparisons = Vec::new();
    for (arm, metric) in arms.iter().flat_map(|arm| metrics.iter().map(move |metric| (arm, metric))) {
        let value = |index: InstanceId| Some((*keys.get(&index)?, *made.get(&index)?.metrics.get(metric)?));
        let a = values(graph, baseline, arm, value)?;
        let b = values(graph, arm, baseline, value)?;
        let instances = baseline.instances.len() + arm.instances.len();
        comparisons.push(compare_one(arm.text, metric, instances, &a, &b, graph.pipeline.repeats.as_deref()));
    }
    for (arm, metric) in arms.iter().chain([baseline]).flat_map(|arm| metrics.iter().map(move |one| (arm, one))) {
        refuse_gaps(graph, made, arm, metric)?;
    }
    judge(&mut comparisons);
    Ok(comparisons)
}

/// Refuses an arm with an instance that has no finite value of the metric, since the rest of the arm would be a
/// different one.
fn refuse_gaps(
    graph: &Graph<'_>,
    made: &BTreeMap<InstanceId, &Manifest>,
    arm: &Arm<'_>,
    metric: &str,
) -> Result<(), ResultsError> {
    let name = |&index: &InstanceId| graph.instances[index].name.to_string();
    let value = |index: &InstanceId| made.get(index).and_then(|made| made.metrics.get(metric));
    let missing: Vec<String> = arm.instances.iter().filter(|index| value(index).is_none()).map(name).collect();
    if !missing.is_empty() {
        let (arm, metric, all) = (arm.text.to_owned(), metric.to_owned(), arm.instances.len());
        return Err(ResultsError::Missing { arm, metric, all, missing });
    }
    let is_broken = |index: &&InstanceId| value(index).is_some_and(|value| !value.is_finite());
    let broken: Vec<String> = arm.instances.iter().filter(is_broken).map(name).collect();
    if !broken.is_empty() {
        return Err(ResultsError::NotFinite { arm: arm.text.to_owned(), metric: metric.to_owned(), broken });
    }
    Ok(())
}

/// Returns the values of an arm by their pairing with another arm.
fn values<'g>(
    graph: &'g Graph<'_>,
    arm: &Arm<'_>,
    other: &Arm<'_>,
    value: impl Fn(InstanceId) -> Option<(StageKey, f64)>,
) -> Result<Values<'g>, ResultsError> {
    let (open, open_there) = (arm.open(graph), other.open(graph));
    let several = |axis: &str| {
        let values = arm.instances.iter().map(|&index| graph.instances[index].axes.get(axis).map(plain));
        values.collect::<BTreeSet<_>>().len() > 1
    };
    let fixed_there: Vec<&str> =
        open.iter().copied().filter(|axis| other.fixed.contains_key(*axis) && several(axis)).collect();
    if !fixed_there.is_empty() {
        let message = format!("`{}` has several instances for one of `{}`", arm.text, other.text);
        return Err(ResultsError::Ask(format!("{message}: give it a value of {}", quoted(&fixed_there))));
    }
    let mut values = Values::new();
    for &index in &arm.instances {
        let axes =
            graph.instances[index].axes.iter().filter(|(axis, _)| open.contains(axis) && open_there.contains(axis));
        let pairing = axes.map(|(axis, value)| (axis, plain(value))).collect();
        if let Some(value) = value(index) {
            values.entry(pairing).or_default().push(value);
        }
    }
    Ok(values)
}

fn compare_one<'a>(
    arm: &'a str,
    metric: &'a str,
    instances: usize,
    a: &Values<'_>,
    b: &Values<'_>,
    repeats: Option<&str>,
) -> Comparison<'a> {
    let average = |values: &[(StageKey, f64)]| values.iter().map(|(_, value)| value).sum::<f64>() / values.len() as f64;
    let mut both: Vec<_> = a.iter().filter_map(|(key, a)| Some((key, a, b.get(key)?))).collect();
    let paired: usize = both.iter().map(|(_, a, b)| a.len() + b.len()).sum();
    let seed = |key: &Pairing<'_>| repeats.and_then(|seeds| key.get(seeds)).cloned();
    // A seed whose work equals that of another seed is not a repeat.
    let mut works: BTreeMap<Option<String>, Vec<StageKey>> = BTreeMap::new();
    for (key, a, b) in &both {
        works.entry(seed(key)).or_default().extend(a.iter().chain(*b).map(|(key, _)| *key));
    }
    let mut known = BTreeSet::new();
    works.retain(|_, works| known.insert(works.clone()));
    both.retain(|(key, ..)| works.contains_key(&seed(key)));
    let pairs: Vec<(f64, f64)> = both.iter().map(|(_, a, b)| (average(a), average(b))).collect();
    let mean = |part: fn(&(f64, f64)) -> f64| Estimate::of(&pairs.iter().map(part).collect::<Vec<_>>());
    let differences = by_seed(both.iter().zip(&pairs).map(|((key, ..), (a, b))| (seed(key), b - a)));
    let difference = Estimate::of(&differences);
    let interval = difference.and_then(|difference| difference.interval);
    Comparison {
        arm,
        metric,
        pairs: pairs.len(),
        seeds: differences.len(),
        unpaired: instances - paired,
        baseline_mean: mean(|pair| pair.0).map(|estimate| estimate.mean),
        arm_mean: mean(|pair| pair.1).map(|estimate| estimate.mean),
        difference: difference.map(|difference| difference.mean),
        difference_low: interval.map(|(low, _)| low),
        difference_high: interval.map(|(_, high)| high),
        p: paired_p(&differences),
        p_adjusted: None,
        differs: None,
        verdict: String::new(),
    }
}

/// Returns the mean difference of each seed. Differences within a seed share its random streams, so they are not
/// repeats.
pub fn by_seed(differences: impl Iterator<Item = (Option<String>, f64)>) -> Vec<f64> {
    let mut seeds: BTreeMap<Option<String>, Vec<f64>> = BTreeMap::new();
    differences.for_each(|(seed, difference)| seeds.entry(seed).or_default().push(difference));
    seeds.values().map(|of_seed| of_seed.iter().sum::<f64>() / of_seed.len() as f64).collect()
}

/// Sets the verdicts of all comparisons together.
fn judge(comparisons: &mut [Comparison<'_>]) {
    let tested: Vec<usize> = (0..comparisons.len()).filter(|&at| comparisons[at].p.is_some()).collect();
    let p: Vec<f64> = tested.iter().filter_map(|&at| comparisons[at].p).collect();
    for (&at, adjusted) in tested.iter().zip(holm(&p)) {
        comparisons[at].p_adjusted = Some(adjusted);
        comparisons[at].differs = Some(differs(adjusted));
    }
    for one in comparisons {
        one.verdict = match (one.seeds, one.differs, one.difference) {
            (0, ..) => "no pairs".to_owned(),
            (1, ..) => "one seed: the spread over seeds is unknown".to_owned(),
            (_, Some(true), Some(difference)) => {
                format!("differs: {}", if difference > 0.0 { "higher" } else { "lower" })
            }
            _ => "no difference shown".to_owned(),
        };
    }
}

/// Formats the numbers of a comparison: pairs, seeds, the means of the baseline and of the arm, their difference, its
/// interval (`[-1.2, 3.4]`) and the adjusted p-value. Those that are not known are empty.
#[must_use]
pub fn cells(about: &Metrics, one: &Comparison<'_>) -> [String; 7] {
    let shown = |value: f64| about.shown(one.metric, value);
    let number = |value: Option<f64>| value.map(shown).unwrap_or_default();
    let interval = one.difference_low.zip(one.difference_high);
    [
        one.pairs.to_string(),
        one.seeds.to_string(),
        number(one.baseline_mean),
        number(one.arm_mean),
        number(one.difference),
        interval.map(|(low, high)| format!("[{}, {}]", shown(low), shown(high))).unwrap_or_default(),
        one.p_adjusted.map(|p| format!("{p:.3}")).unwrap_or_default(),
    ]
}

/// Formats the comparisons as a table.
#[must_use]
pub fn grid(about: &Metrics, baseline: &str, comparisons: &[Comparison<'_>]) -> Grid {
    let left = ["arm", "metric"].map(|header| (header.to_owned(), Align::Left));
    let right = ["pairs", "seeds", baseline, "arm's mean", "difference", "95 % interval", "p (Holm)"];
    let right = right.map(|header| (header.to_owned(), Align::Right));
    let mut grid = Grid::new(left.into_iter().chain(right).chain([("verdict".to_owned(), Align::Left)]));
    for one in comparisons {
        let names = [one.arm.to_owned(), about.header(one.metric)];
        grid.push(names.into_iter().chain(cells(about, one)).chain([one.verdict.clone()]).collect());
    }
    grid
}
