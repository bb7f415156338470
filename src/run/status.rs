//! What can become of an instance, and the number of instances for each.

use serde::Serialize;

/// What became of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Its results were in the cache.
    Cached,
    /// Its code ran to the end.
    Ran,
    /// Its code continued from a saved state and ran to the end.
    Resumed,
    /// Its code failed.
    Failed,
    /// A dependency failed, or the run was stopped before the instance started.
    Blocked,
}

impl Status {
    /// Returns the word that people and scripts read.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::Ran => "ran",
            Self::Resumed => "resumed",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
        }
    }
}

/// The number of instances for each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Found in the cache.
    pub cached: usize,
    /// Ran to the end.
    pub ran: usize,
    /// Continued from a saved state to the end.
    pub resumed: usize,
    /// Failed.
    pub failed: usize,
    /// Not reached, because a dependency failed or the run was stopped.
    pub blocked: usize,
}

impl Counts {
    /// Counts some statuses.
    #[must_use]
    pub fn of(all: impl IntoIterator<Item = Status>) -> Self {
        let mut counts = Self::default();
        for status in all {
            *match status {
                Status::Cached => &mut counts.cached,
                Status::Ran => &mut counts.ran,
                Status::Resumed => &mut counts.resumed,
                Status::Failed => &mut counts.failed,
                Status::Blocked => &mut counts.blocked,
            } += 1;
        }
        counts
    }

    /// Iterates over the status words, each with its number of instances.
    pub fn words(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let &Self { cached, ran, resumed, failed, blocked } = self;
        let all = [
            (Status::Cached, cached),
            (Status::Ran, ran),
            (Status::Resumed, resumed),
            (Status::Failed, failed),
            (Status::Blocked, blocked),
        ];
        all.into_iter().map(|(status, count)| (status.word(), count))
    }
}
