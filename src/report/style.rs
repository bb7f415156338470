//! Colours, by what they mean. Without colour, every style is empty, so text is made the same way either way.

use anstyle::{AnsiColor, Style};

use crate::run::Status;

/// The styles of a stream that shows colours, or (by default) of one that does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Styles {
    /// Work that was done or will be done.
    pub work: Style,
    /// What was found in the cache.
    pub cached: Style,
    /// What failed.
    pub failed: Style,
    /// What could not be reached, or is not known yet.
    pub held: Style,
    /// What matters in a line.
    pub strong: Style,
    /// What does not.
    pub faint: Style,
}

impl Styles {
    /// Styles that show, if `color`.
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

    /// The style of a status word.
    #[must_use]
    pub fn of(&self, status: Status) -> Style {
        match status {
            Status::Cached => self.cached,
            Status::Ran | Status::Resumed => self.work,
            Status::Failed => self.failed,
            Status::Blocked => self.held,
        }
    }

    /// `text` in `style`.
    #[must_use]
    pub fn paint(style: Style, text: &str) -> String {
        format!("{style}{text}{style:#}")
    }
}
