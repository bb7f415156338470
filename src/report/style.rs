//! Colours by their meaning. Without colour, every style is empty, so the code that formats text is the same.

use anstyle::{AnsiColor, Style};

use crate::run::Status;

/// The styles of a stream: with colours, or (the default) without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Styles {
    /// Work that was done or will be done.
    pub work: Style,
    /// Results that were found in the cache.
    pub cached: Style,
    /// Failures.
    pub failed: Style,
    /// Work that was blocked or is not known yet.
    pub held: Style,
    /// Important text in a line.
    pub strong: Style,
    /// Less important text in a line.
    pub faint: Style,
}

impl Styles {
    /// Returns styles with colours if `color` is true.
    #[must_use]
    pub fn new(color: bool) -> Self {
        if !color {
            return Self::default();
        }
        let bold = |color: AnsiColor| color.on_default().bold();
        Self {
            work: bold(AnsiColor::Green),
            cached: bold(AnsiColor::Cyan),
            failed: bold(AnsiColor::Red),
            held: bold(AnsiColor::Yellow),
            strong: Style::new().bold(),
            faint: Style::new().dimmed(),
        }
    }

    /// Returns the style of a status word.
    #[must_use]
    pub fn of(&self, status: Status) -> Style {
        match status {
            Status::Cached => self.cached,
            Status::Ran | Status::Resumed => self.work,
            Status::Failed => self.failed,
            Status::Blocked => self.held,
        }
    }

    /// Returns `text` in `style`.
    #[must_use]
    pub fn paint(style: Style, text: &str) -> String {
        format!("{style}{text}{style:#}")
    }
}
