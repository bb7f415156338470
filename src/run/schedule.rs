//! Decides which instance starts next: short work first, then the longest chain, within the limits of the machine. This
//! module knows no stage and no clock.

use serde::{Deserialize, Serialize};
use typed_index_collections::{TiSlice, TiVec, ti_vec};

use crate::graph::InstanceId;

/// The resources that a running instance takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Threads.
    pub threads: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// GPUs.
    pub gpus: usize,
}

/// The resources of the machine that a run may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Instances at the same time.
    pub jobs: usize,
    /// Threads, memory and GPUs of all instances together.
    pub load: Load,
    /// Whether the GPUs are for programs only, because the other stages compute on the CPU.
    pub gpus_are_for_programs: bool,
}

/// Fraction of the critical path's length by which it may be delayed so that short work finishes first.
const DELAY: f64 = 0.1;

/// The running instances, and the order of those that wait.
#[derive(Debug)]
pub struct Schedule {
    limits: Limits,
    loads: TiVec<InstanceId, Load>,
    /// For each instance, the seconds from its start to the end of the longest chain of instances that depend on it.
    urgency: TiVec<InstanceId, f64>,
    /// For each instance, the number of links in the longest chain of its dependencies.
    depth: TiVec<InstanceId, usize>,
    taken: Load,
    running: usize,
}

impl Schedule {
    /// Makes a schedule of instances with these loads, seconds and links (each to an earlier instance that it depends
    /// on). Dependencies come first. A load beyond the limits is reduced to them, so that every instance can run alone.
    #[must_use]
    pub fn new(
        limits: Limits,
        loads: &TiSlice<InstanceId, Load>,
        seconds: &TiSlice<InstanceId, f64>,
        needs: &TiSlice<InstanceId, Vec<InstanceId>>,
    ) -> Self {
        let most = limits.load;
        let cut = |load: &Load| Load {
            threads: load.threads.min(most.threads),
            memory: load.memory.min(most.memory),
            gpus: load.gpus.min(most.gpus),
        };
        let mut urgency = seconds.to_vec();
        for index in needs.keys().rev() {
            for &above in &needs[index] {
                urgency[above] = urgency[above].max(seconds[above] + urgency[index]);
            }
        }
        let mut depth = ti_vec![0; needs.len()];
        for index in needs.keys() {
            depth[index] = needs[index].iter().map(|&above| depth[above] + 1).max().unwrap_or_default();
        }
        Self { limits, loads: loads.iter().map(cut).collect(), urgency, depth, taken: Load::default(), running: 0 }
    }

    /// Returns the resources that an instance takes.
    #[must_use]
    pub fn load(&self, index: InstanceId) -> Load {
        self.loads[index]
    }

    /// Returns the seconds from the start of an instance to the end of the longest chain of instances that depend on it.
    #[must_use]
    pub fn urgency(&self, index: InstanceId) -> f64 {
        self.urgency[index]
    }

    /// Returns the instances in the order in which they should start. Those with the longest chain below them come
    /// first, so that the run ends early. Before these come the instances with the shortest chains, as many as delay
    /// the longest chain by at most a tenth in total, so that the results of one training come before the next
    /// training. These, and equals, are ordered by depth, deepest first, and then by index.
    #[must_use]
    pub fn by_urgency(&self, mut ready: Vec<InstanceId>) -> Vec<InstanceId> {
        let deeper = |a: InstanceId, b: InstanceId| self.depth[b].cmp(&self.depth[a]).then(a.cmp(&b));
        ready.sort_by(|&a, &b| self.urgency[b].total_cmp(&self.urgency[a]).then(deeper(a, b)));
        let Some(&longest) = ready.first() else { return ready };
        let mut left = DELAY * self.urgency[longest];
        let quick = ready.iter().rev().take_while(|&&index| {
            left -= self.urgency[index];
            left >= 0.0
        });
        let long = ready.len() - quick.count();
        let mut quick = ready.split_off(long);
        quick.sort_by(|&a, &b| deeper(a, b));
        quick.extend(ready);
        quick
    }

    /// Returns whether the maximum number of instances is running.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.running >= self.limits.jobs
    }

    /// Returns whether there is room for an instance now.
    #[must_use]
    pub fn fits(&self, index: InstanceId) -> bool {
        let (load, taken, most) = (self.loads[index], self.taken, self.limits.load);
        !self.is_full()
            && taken.threads + load.threads <= most.threads
            && taken.memory + load.memory <= most.memory
            && taken.gpus + load.gpus <= most.gpus
    }

    /// Takes the resources of an instance that fits.
    pub fn start(&mut self, index: InstanceId) {
        let load = self.loads[index];
        self.running += 1;
        self.taken.threads += load.threads;
        self.taken.memory += load.memory;
        self.taken.gpus += load.gpus;
    }

    /// Frees the resources of an instance that ended.
    pub fn end(&mut self, index: InstanceId) {
        let load = self.loads[index];
        self.running -= 1;
        self.taken.threads -= load.threads;
        self.taken.memory -= load.memory;
        self.taken.gpus -= load.gpus;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prelude::*, test_runner::RngSeed};

    const LIMITS: Limits =
        Limits { jobs: 6, load: Load { threads: 8, memory: 64, gpus: 2 }, gpus_are_for_programs: false };

    /// Instances as (seconds, load, links).
    type Work = (TiVec<InstanceId, f64>, TiVec<InstanceId, Load>, TiVec<InstanceId, Vec<InstanceId>>);

    fn ids<const N: usize>(numbers: [usize; N]) -> Vec<InstanceId> {
        numbers.map(InstanceId::from).to_vec()
    }

    /// Simulates a run with its own clock and returns the makespan. Fails if a limit is exceeded or nothing can start.
    fn simulate(limits: Limits, (seconds, loads, needs): &Work) -> f64 {
        let mut schedule = Schedule::new(limits, loads, seconds, needs);
        let (mut now, mut done) = (0.0, ti_vec![false; seconds.len()]);
        let mut started = done.clone();
        let mut running: Vec<(f64, InstanceId)> = Vec::new();
        while done.contains(&false) {
            let free = |&index: &InstanceId| !started[index] && needs[index].iter().all(|&above| done[above]);
            let ready: Vec<InstanceId> = seconds.keys().filter(free).collect();
            for index in schedule.by_urgency(ready) {
                if schedule.fits(index) {
                    schedule.start(index);
                    started[index] = true;
                    running.push((now + seconds[index], index));
                }
            }
            let sum = |part: fn(Load) -> u64| running.iter().map(|&(_, index)| part(schedule.load(index))).sum::<u64>();
            assert!(running.len() <= limits.jobs, "jobs");
            assert!(sum(|load| load.threads as u64) <= limits.load.threads as u64, "threads");
            assert!(sum(|load| load.memory) <= limits.load.memory, "memory");
            assert!(sum(|load| load.gpus as u64) <= limits.load.gpus as u64, "GPUs");
            let next = running.iter().min_by(|a, b| a.0.total_cmp(&b.0)).copied();
            let (end, index) = next.expect("something runs while anything is left");
            running.retain(|&(_, other)| other != index);
            schedule.end(index);
            (now, done[index]) = (end, true);
        }
        now
    }

    /// Returns a lower bound of the makespan: the longest chain, or the work of a resource divided by its amount.
    fn lower_bound(limits: Limits, (seconds, loads, needs): &Work) -> f64 {
        let schedule = Schedule::new(limits, loads, seconds, needs);
        let chain = schedule.urgency.iter().copied().fold(0.0, f64::max);
        let work = |part: &dyn Fn(Load) -> f64, whole: f64| {
            let each = seconds.iter_enumerated().map(|(index, seconds)| seconds * part(schedule.load(index)));
            if whole > 0.0 { each.sum::<f64>() / whole } else { 0.0 }
        };
        let most = limits.load;
        [
            chain,
            work(&|_| 1.0, limits.jobs as f64),
            work(&|load| load.threads as f64, most.threads as f64),
            work(&|load| load.memory as f64, most.memory as f64),
            work(&|load| load.gpus as f64, most.gpus as f64),
        ]
        .into_iter()
        .fold(0.0, f64::max)
    }

    prop_compose! {
        /// Generates the shape of a sweep: layers of instances, each linked to some instances of the layers above.
        fn work(count: std::ops::Range<usize>, threads: usize, memory: u64)(
            each in prop::collection::vec(
                (1u32..100, 1..=threads, 0..=memory, 0usize..=1, prop::collection::vec(any::<prop::sample::Index>(), 0..3)),
                count,
            )
        ) -> Work {
            let seconds = each.iter().map(|one| f64::from(one.0)).collect();
            let loads = each.iter().map(|one| Load { threads: one.1, memory: one.2, gpus: one.3 }).collect();
            let links = |(index, one): (usize, &(u32, usize, u64, usize, Vec<prop::sample::Index>))| {
                let above = one.4.iter().filter(|_| index > 0);
                above.map(|link| link.index(index.max(1)).into()).collect()
            };
            (seconds, loads, each.iter().enumerate().map(links).collect())
        }
    }

    proptest! {
        // One random graph in ten thousand takes longer than 1.3 times the bound, which no schedule may reach. The
        // fixed seed draws the same graphs each time.
        #![proptest_config(ProptestConfig { cases: 500, rng_seed: RngSeed::Fixed(7), ..ProptestConfig::default() })]

        #[test]
        fn no_limit_is_exceeded_and_everything_ends(work in work(1..60, 12, 100)) {
            simulate(LIMITS, &work);
            simulate(Limits { jobs: 1, load: Load { threads: 1, memory: 0, gpus: 0 }, ..LIMITS }, &work);
        }

        #[test]
        fn the_whole_takes_at_most_a_third_longer_than_it_must(work in work(40..150, 2, 10)) {
            let (took, least) = (simulate(LIMITS, &work), lower_bound(LIMITS, &work));
            prop_assert!(took <= 1.3 * least, "{took} for {least}");
        }
    }

    #[test]
    fn the_longest_chain_starts_first() {
        let seconds = ti_vec![1.0, 5.0, 9.0, 3.0];
        let needs = ti_vec![vec![], vec![], ids([0]), vec![]];
        let schedule = Schedule::new(LIMITS, &ti_vec![Load::default(); 4], &seconds, &needs);
        assert_eq!(schedule.by_urgency(ids([0, 1, 3])), ids([0, 1, 3]), "0 has 2 below it");
        assert_eq!(schedule.by_urgency(ids([3, 1, 2])), ids([2, 1, 3]));
    }

    /// Instances 0 and 1 are trainings, 2 to 4 encode and probe the first, and 5 is another training.
    #[test]
    fn results_come_before_the_next_training() {
        let needs = ti_vec![vec![], vec![], ids([0]), ids([2]), ids([2]), vec![]];
        let ready = ids([1, 2, 3, 4, 5]);
        let order = |seconds: [f64; 6]| {
            let seconds: TiVec<_, _> = seconds.into_iter().collect();
            Schedule::new(LIMITS, &ti_vec![Load::default(); 6], &seconds, &needs).by_urgency(ready.clone())
        };
        assert_eq!(order([100.0, 100.0, 1.0, 1.0, 2.0, 90.0]), ids([3, 4, 2, 1, 5]), "quick ones, the deepest first");
        assert_eq!(
            order([100.0, 100.0, 1.0, 1.0, 9.5, 90.0]),
            ids([3, 1, 5, 2, 4]),
            "1 + 9.5 is more than a tenth of 100"
        );
        assert_eq!(order([0.0; 6]), ids([3, 4, 2, 1, 5]), "nothing is known of their times");
    }
}
