//! `strata compare`: whether arms of an experiment differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

use serde::Serialize;

use super::{
    Console, Failure,
    args::{CacheArgs, Format, PipelineArgs},
    arm::Arm,
    open,
    results::{header, plain, shown},
};
use crate::{
    digest::StageKey,
    graph::Graph,
    pipeline::quoted,
    plan,
    report::{Align, Estimate, Grid, differs, holm, paired_p},
    stage::Registry,
    store::Manifest,
};

/// Show whether arms of an experiment differ: paired differences over seeds and other axes, with intervals and a verdict
///
/// Instances are paired by the axes that reach both arms and that neither fixes; over axes that reach one alone its mean is
/// taken. Pairs are averaged within each seed: only seeds are independent repeats.
/// Each further arm is compared with the first by Student's paired t-test. An interval is that of its own comparison; p and
/// the verdicts are corrected for all arms and metrics together (Holm), so that they are wrong in at most 5 % of cases.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// The arm to compare with: `STAGE@axis=value,…`, all instances of the stage with these values
    #[arg(value_name = "A")]
    baseline: String,
    /// Other arms
    #[arg(value_name = "B", required = true)]
    others: Vec<String>,
    /// What to compare; may be given several times
    #[arg(long, value_name = "NAME", default_value = "test_accuracy")]
    metric: Vec<String>,
    #[command(flatten)]
    cache: CacheArgs,
    /// The form of the answer
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Serialize)]
struct Document<'a> {
    baseline: &'a str,
    comparisons: Vec<Comparison<'a>>,
}

/// One arm against the baseline in one metric. Means are over the pairs.
#[derive(Serialize)]
struct Comparison<'a> {
    arm: &'a str,
    metric: &'a str,
    /// Pairs of instances, and the seeds that these are of.
    pairs: usize,
    seeds: usize,
    /// Instances of either arm that have no partner.
    unpaired: usize,
    baseline_mean: Option<f64>,
    arm_mean: Option<f64>,
    difference: Option<f64>,
    difference_low: Option<f64>,
    difference_high: Option<f64>,
    /// Of the paired t-test, and the same after Holm's correction.
    p: Option<f64>,
    p_adjusted: Option<f64>,
    differs: Option<bool>,
    verdict: String,
}

/// The most instances that a message names.
const MOST_NAMED: usize = 5;

/// What pairs instances of one arm with those of another: the axes that both leave open, with their values.
type Pairing<'a> = BTreeMap<&'a str, String>;
/// Values of a metric in an arm with the keys of the work, by what pairs them.
type Values<'a> = BTreeMap<Pairing<'a>, Vec<(StageKey, f64)>>;

impl Args {
    /// Prints the comparisons.
    pub fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let texts = open::texts(&self.pipeline)?;
        let graph = texts.graph(registry, console)?;
        let store = self.cache.open(&graph.pipeline.root);
        let baseline = Arm::find(&graph, &self.baseline)?;
        let arms = self.others.iter().map(|text| Arm::find(&graph, text)).collect::<Result<Vec<_>, _>>()?;
        let all: BTreeSet<usize> = arms.iter().chain([&baseline]).flat_map(|arm| &arm.instances).copied().collect();
        let plan = plan::plan(&graph, &graph.with_needs(all.clone()), &store, false)?;
        console.warnings(plan.warnings(&graph));
        let made: BTreeMap<usize, &Manifest> = plan.cached().filter(|(index, _)| all.contains(index)).collect();
        let keys: BTreeMap<usize, StageKey> = made.iter().map(|(index, made)| (*index, made.recipe.key())).collect();
        let metrics: BTreeMap<usize, &BTreeMap<String, f64>> =
            made.iter().map(|(index, made)| (*index, &made.metrics)).collect();
        for metric in self.metric.iter().filter(|_| !metrics.is_empty()) {
            if !metrics.values().any(|found| found.contains_key(metric)) {
                let known: BTreeSet<&str> =
                    metrics.values().flat_map(|found| found.keys().map(String::as_str)).collect();
                let listed = quoted(&known.into_iter().collect::<Vec<_>>());
                return Err(Failure::Usage(format!("no instance has the metric `{metric}`; there are {listed}")));
            }
        }
        let mut comparisons = Vec::new();
        for (arm, metric) in arms.iter().flat_map(|arm| self.metric.iter().map(move |metric| (arm, metric))) {
            let value = |index: usize| Some((*keys.get(&index)?, *metrics.get(&index)?.get(metric)?));
            let a = values(&graph, &baseline, arm, value)?;
            let b = values(&graph, arm, &baseline, value)?;
            let instances = baseline.instances.len() + arm.instances.len();
            comparisons.push(compare(arm.text, metric, instances, &a, &b, graph.pipeline.repeats.as_deref()));
        }
        for (arm, metric) in
            arms.iter().chain([&baseline]).flat_map(|arm| self.metric.iter().map(move |one| (arm, one)))
        {
            self.refuse_gaps(&graph, arm, metric, &metrics)?;
        }
        judge(&mut comparisons);
        if comparisons.iter().all(|one| one.pairs == 0) {
            console.note("nothing can be paired: the arms have no value in common of an axis that reaches both");
        }
        match self.output {
            Format::Json => console.json(&Document { baseline: baseline.text, comparisons })?,
            format => console.grid(&grid(baseline.text, &comparisons), format)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Refuses an arm with instances that have no finite value of the metric: the rest of it would be another arm.
    fn refuse_gaps(
        &self,
        graph: &Graph<'_>,
        arm: &Arm<'_>,
        metric: &str,
        metrics: &BTreeMap<usize, &BTreeMap<String, f64>>,
    ) -> Result<(), Failure> {
        let name = |&index: &usize| graph.instances[index].name.as_str();
        let value = |index: &usize| metrics.get(index).and_then(|found| found.get(metric));
        let missing: Vec<&str> = arm.instances.iter().filter(|index| value(index).is_none()).map(name).collect();
        if !missing.is_empty() {
            let (count, all, text) = (missing.len(), arm.instances.len(), arm.text);
            let run = self.pipeline.run(&[text]);
            let help = format!("`{run}` runs what has not run; what failed must be mended, or left out of the arm");
            let message = format!("`{text}` cannot be compared: {count} of its {all} instances have no `{metric}`");
            return Err(Failure::Failed(format!("{message}: {}\n{help}", listed(&missing))));
        }
        let is_broken = |index: &&usize| value(index).is_some_and(|value| !value.is_finite());
        let broken: Vec<&str> = arm.instances.iter().filter(is_broken).map(name).collect();
        if !broken.is_empty() {
            let message = format!("`{}` cannot be compared: `{metric}` is not a finite number", arm.text);
            return Err(Failure::Failed(format!("{message} in {}", listed(&broken))));
        }
        Ok(())
    }
}

/// The first of some names, and how many more there are.
pub fn listed(names: &[&str]) -> String {
    let some = names.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join("; ");
    match names.len().saturating_sub(MOST_NAMED) {
        0 => some,
        more => format!("{some} and {more} more"),
    }
}

/// The values of an arm by what pairs them with another one.
fn values<'g>(
    graph: &'g Graph<'_>,
    arm: &Arm<'_>,
    other: &Arm<'_>,
    value: impl Fn(usize) -> Option<(StageKey, f64)>,
) -> Result<Values<'g>, Failure> {
    let (open, open_there) = (arm.open(graph), other.open(graph));
    let several = |axis: &str| {
        let values = arm.instances.iter().map(|&index| graph.instances[index].axes.get(axis).map(plain));
        values.collect::<BTreeSet<_>>().len() > 1
    };
    let fixed_there: Vec<&str> =
        open.iter().copied().filter(|axis| other.fixed.contains_key(*axis) && several(axis)).collect();
    if !fixed_there.is_empty() {
        let message = format!("`{}` has several instances for one of `{}`", arm.text, other.text);
        return Err(Failure::Usage(format!("{message}: give it a value of {}", quoted(&fixed_there))));
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

fn compare<'a>(
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
    // A seed whose work is that of another seed repeats nothing.
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

/// The mean difference of each seed. What differs otherwise within a seed shares its chances, so it is no repeat.
pub fn by_seed(differences: impl Iterator<Item = (Option<String>, f64)>) -> Vec<f64> {
    let mut seeds: BTreeMap<Option<String>, Vec<f64>> = BTreeMap::new();
    differences.for_each(|(seed, difference)| seeds.entry(seed).or_default().push(difference));
    seeds.values().map(|of_seed| of_seed.iter().sum::<f64>() / of_seed.len() as f64).collect()
}

/// Verdicts on all comparisons together.
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

fn grid(baseline: &str, comparisons: &[Comparison<'_>]) -> Grid {
    let left = ["arm", "metric"].map(|header| (header.to_owned(), Align::Left));
    let right = ["pairs", "seeds", baseline, "arm's mean", "difference", "95 % interval", "p (Holm)"];
    let right = right.map(|header| (header.to_owned(), Align::Right));
    let mut grid = Grid::new(left.into_iter().chain(right).chain([("verdict".to_owned(), Align::Left)]));
    for one in comparisons {
        let number = |value: Option<f64>| value.map(|value| shown(one.metric, value)).unwrap_or_default();
        let interval = one.difference_low.zip(one.difference_high);
        let interval = interval.map(|(low, high)| format!("[{}, {}]", number(Some(low)), number(Some(high))));
        grid.push(vec![
            one.arm.to_owned(),
            header(one.metric),
            one.pairs.to_string(),
            one.seeds.to_string(),
            number(one.baseline_mean),
            number(one.arm_mean),
            number(one.difference),
            interval.unwrap_or_default(),
            one.p_adjusted.map(|p| format!("{p:.3}")).unwrap_or_default(),
            one.verdict.clone(),
        ]);
    }
    grid
}
