//! Mistakes in parameters and warnings about them, found before any work.

use std::path::{Path, PathBuf};

use crate::diagnostic::Severity;

/// A problem with the value of a parameter: a mistake, or a value that is probably not meant. The graph adds its place
/// in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadParam {
    /// Whether it stops the command.
    pub severity: Severity,
    /// The parameter, a key path such as `optimizer.lr`.
    pub path: String,
    /// The problem, as a fragment such as "must be positive, got -1".
    pub message: String,
    /// The remedy.
    pub help: Option<String>,
}

/// An optional input that a parameter makes required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The input port.
    pub port: &'static str,
    /// The parameter that needs it, a key path.
    pub path: &'static str,
    /// What needs it, a fragment such as "a mask".
    pub what: &'static str,
}

/// Collects what [`Stage::check`](super::Stage::check) and [`Stage::foresee`](super::Stage::foresee) find.
#[derive(Debug, Default)]
pub struct Problems(Vec<BadParam>);

impl Problems {
    /// Adds a problem with the parameter `path` unless `fine`.
    pub fn require(&mut self, fine: bool, path: &str, message: impl Into<String>) {
        if !fine {
            self.add(path, message);
        }
    }

    /// Adds a problem.
    pub fn add(&mut self, path: &str, message: impl Into<String>) {
        self.push(Severity::Mistake, path, message.into(), None);
    }

    /// Adds a problem and its remedy.
    pub fn add_with_help(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Mistake, path, message.into(), Some(help.into()));
    }

    /// Adds a warning about a value that works but is probably not meant, with its remedy.
    pub fn warn(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Warning, path, message.into(), Some(help.into()));
    }

    fn push(&mut self, severity: Severity, path: &str, message: String, help: Option<String>) {
        self.0.push(BadParam { severity, path: path.to_owned(), message, help });
    }

    /// Requires a finite value with `low <= value <= high`. An infinite bound sets no limit.
    pub fn within(&mut self, path: &str, value: f64, low: f64, high: f64) {
        if (low..=high).contains(&value) && value.is_finite() {
            return;
        }
        let bounds = match (low.is_finite(), high.is_finite()) {
            (true, true) => format!("between {low} and {high}"),
            (true, false) => format!("at least {low}"),
            _ => format!("at most {high}"),
        };
        self.add(path, format!("must be {bounds}, got {value}"));
    }

    /// Requires a number above zero.
    pub fn positive(&mut self, path: &str, value: f64) {
        if !(value > 0.0 && value.is_finite()) {
            self.add(path, format!("must be above 0, got {value}"));
        }
    }

    /// Requires a count of at least `low`.
    pub fn at_least(&mut self, path: &str, value: usize, low: usize) {
        if value < low {
            self.add(path, format!("must be at least {low}, got {value}"));
        }
    }

    /// The problems that were found.
    #[must_use]
    pub fn into_vec(self) -> Vec<BadParam> {
        self.0
    }
}

/// Files outside the cache that a stage reads. Their content is in the stage's key in place of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The parameter that names them, `path`.
    pub param: &'static str,
    /// The folder that their names are relative to.
    pub base: PathBuf,
    /// Every file whose content matters, in a fixed order.
    pub files: Vec<PathBuf>,
}

/// Where relative paths in parameters start: the project root.
#[derive(Clone, Copy, Debug)]
pub struct Root<'a>(pub &'a Path);

impl Root<'_> {
    /// The file or folder that a parameter names.
    #[must_use]
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }
}
