//! Which of many similar lines of a run are printed: the first few of each stage, then at most one in ten seconds. The
//! others are counted, so that a sweep of a thousand quick instances leaves a page, not a book.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::run::Status;

/// The lines of a stage that are printed whatever follows.
const FIRST: usize = 5;
/// The time after which a line of the stage is printed again. Work that takes longer is never folded.
pub(super) const PAUSE: Duration = Duration::from_secs(10);

/// Counts lines of finished instances, and the failures that are alike.
#[derive(Default)]
pub(super) struct Folding {
    /// If set, everything is printed.
    pub everything: bool,
    printed: BTreeMap<(String, Status), (usize, Option<Instant>)>,
    hidden: BTreeMap<(String, Status), Hidden>,
    /// The failures by what is alike in their messages: the first message, and the instances.
    failures: BTreeMap<String, (String, Vec<String>)>,
}

/// Instances whose lines were not printed.
#[derive(Clone, Copy, Default)]
pub(super) struct Hidden {
    pub count: usize,
    pub seconds: f64,
}

impl Folding {
    /// Returns whether a line about an instance of this stage is printed now.
    pub(super) fn prints(&mut self, stage: &str, status: Status) -> bool {
        let (count, last) = self.printed.entry((stage.to_owned(), status)).or_default();
        let is_due = last.is_none_or(|last| last.elapsed() >= PAUSE);
        if self.everything || *count < FIRST || is_due {
            *count += 1;
            *last = Some(Instant::now());
            return true;
        }
        false
    }

    /// Counts an instance whose line is not printed.
    pub(super) fn hide(&mut self, stage: &str, status: Status, seconds: Option<f64>) {
        let hidden = self.hidden.entry((stage.to_owned(), status)).or_default();
        hidden.count += 1;
        hidden.seconds += seconds.unwrap_or_default();
    }

    /// Takes what was counted so far, with stage and status.
    pub(super) fn rest(&mut self) -> impl Iterator<Item = ((String, Status), Hidden)> {
        std::mem::take(&mut self.hidden).into_iter()
    }

    /// Notes a failure. Returns whether it is the first with this message.
    pub(super) fn fails(&mut self, instance: &str, message: &str) -> bool {
        let known = self.failures.entry(alike(instance, message));
        let (_, instances) = known.or_insert_with(|| (message.to_owned(), Vec::new()));
        instances.push(instance.to_owned());
        self.everything || instances.len() == 1
    }

    /// Takes the failures that several instances share: the message of the first, and the instances.
    pub(super) fn shared_failures(&mut self) -> impl Iterator<Item = (String, Vec<String>)> {
        let failures = std::mem::take(&mut self.failures);
        failures.into_values().filter(|(_, instances)| instances.len() > 1)
    }
}

/// Returns a message without what differs between instances that fail for the same reason: the name of the instance, and
/// hashes, such as the one in the path of a log.
fn alike(instance: &str, message: &str) -> String {
    const HASH: usize = 32;
    let message = message.replace(instance, "…");
    let mut words = String::new();
    for word in message.split_inclusive(|c: char| !c.is_ascii_hexdigit()) {
        let digits = word.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
        if digits.len() < HASH {
            words.push_str(word);
            continue;
        }
        // The folder of a file that is named by a hash has its first two digits.
        let folder = format!("/{}/", &digits[..2]);
        words.truncate(words.len() - if words.ends_with(&folder) { folder.len() } else { 0 });
        words.push('…');
        words.push_str(&word[digits.len()..]);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_of_each_stage_are_printed_and_the_rest_counted() {
        let mut folding = Folding::default();
        let printed = (0..30).filter(|_| {
            let prints = folding.prints("knn", Status::Cached);
            if !prints {
                folding.hide("knn", Status::Cached, Some(0.5));
            }
            prints
        });
        assert_eq!(printed.count(), FIRST);
        assert!(folding.prints("probe", Status::Cached) && folding.prints("knn", Status::Ran));
        let rest: Vec<_> = folding.rest().map(|(of, hidden)| (of, hidden.count, hidden.seconds)).collect();
        assert_eq!(rest, [(("knn".to_owned(), Status::Cached), 25, 12.5)]);
        let mut all = Folding { everything: true, ..Folding::default() };
        assert!((0..30).all(|_| all.prints("knn", Status::Ran)));
    }

    #[test]
    fn hashes_do_not_tell_failures_apart_and_other_numbers_do() {
        let log = |digits: &str| format!("exit code 3; its log (/c/logs-v1/{}/{digits}.log):\n gone", &digits[..2]);
        assert_eq!(alike("a", &log(&"2b".repeat(32))), alike("b", &log(&"78".repeat(32))));
        assert_ne!(alike("a", "no row 3"), alike("b", "no row 4"));
        assert_eq!(alike("a@k=1", "a@k=1: no row 3"), "…: no row 3");
    }

    #[test]
    fn failures_are_alike_whatever_they_call_the_instance() {
        let mut folding = Folding::default();
        assert!(folding.fails("knn@k=1", "knn@k=1: no rows") && !folding.fails("knn@k=2", "knn@k=2: no rows"));
        assert!(folding.fails("knn@k=3", "no columns"));
        let shared: Vec<_> = folding.shared_failures().collect();
        assert_eq!(shared, [("knn@k=1: no rows".to_owned(), vec!["knn@k=1".to_owned(), "knn@k=2".to_owned()])]);
    }
}
