//! Formats the lines of a run as text. Other modules print them.

use std::collections::BTreeMap;

use console::{measure_text_width as width_of, truncate_str};

use super::{
    Styles,
    escape::one_line,
    gauge::{bar, outlook, short, sparkline},
};
use crate::{
    amount::{clock, duration, number},
    graph::InstanceName,
    plan::Reason,
    run::{Counts, Event, Status},
};

/// The maximum width of lines on a terminal.
const WIDEST: usize = 110;
/// The minimum width that a remark is cut to.
const REMARK: usize = 12;
/// Status words are right-aligned to this column.
const WORD: usize = 8;

/// Formats lines for a stream of a certain width, with or without colours.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// The styles of the stream.
    pub styles: Styles,
    /// The width of the terminal, if it is one. For other streams nothing is shortened.
    pub width: Option<usize>,
}

impl Lines {
    /// Formats an [`Event::StageFinished`]: `ran  simclr@batches.policy=random      1 min 12 s`.
    #[must_use]
    pub fn finished(&self, instance: &str, status: Status, seconds: Option<f64>, message: Option<&str>) -> String {
        let instance = &*one_line(instance);
        let word = self.word(status.word(), self.styles.of(status));
        let time = seconds.filter(|_| status != Status::Cached).map(duration).unwrap_or_default();
        let mut line = format!("{word}  {}", self.name_and(instance, &time));
        if let Some(message) = message {
            let remark = one_line(message);
            if status == Status::Blocked && self.fits(instance, &remark) {
                line = format!("{word}  {instance} {}", Styles::paint(self.styles.faint, &format!("({remark})")));
            } else {
                for part in message.lines() {
                    line.push_str(&format!("\n{:WORD$}  {}", "", one_line(part)));
                }
            }
        }
        line
    }

    /// Formats the start of an instance: `run  simclr@batches.policy=random (temperature: 0.5 -> 0.2)`.
    #[must_use]
    pub fn started(&self, instance: &str, reason: &Reason) -> String {
        self.remarked(&self.word("run", self.styles.strong), instance, &reason.to_string(), "")
    }

    /// Formats a warning: `warning  probe: the classifier has not converged …`. It is never shortened, since a part of
    /// it would not help.
    #[must_use]
    pub fn warning(&self, instance: &str, message: &str) -> String {
        format!("{}  {instance}: {message}", self.word("warning", self.styles.held))
    }

    /// Formats the events between start and finish that people want to see.
    #[must_use]
    pub fn happened(&self, event: &Event) -> Option<String> {
        let names;
        let (word, instance, remark) = match event {
            Event::Stopping { instances, budget } => {
                names = instances.join(", ");
                let them = if instances.len() == 1 { "it" } else { "them" };
                let remark = match budget {
                    true => format!("the budget is spent; waiting for {them} to stop; Ctrl-C ends at once"),
                    false => format!("waiting for {them} to stop; a second signal ends at once"),
                };
                ("stops", &names, remark)
            }
            Event::Warning { instance, message } => return Some(self.warning(instance, message)),
            Event::Waiting { instance, holder } => ("waits", instance, format!("for {holder}")),
            Event::Resumed { instance, epoch, step } => ("resumes", instance, after(*epoch, *step)),
            Event::Retrying { instance, again, message } => {
                let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
                ("retries", instance, format!("retry {again}: {message}"))
            }
            Event::Damaged { instance, port, message } => {
                ("damaged", instance, format!("input {port}: {message}; it is made again"))
            }
            Event::SourceChanged { instance, file } => {
                ("changed", instance, format!("{} changed while it was read; it is decided again", file.display()))
            }
            _ => return None,
        };
        Some(self.remarked(&self.word(word, self.styles.strong), instance, &remark, ""))
    }

    /// Formats a line of a status word, a name, a remark, and a short text on the right.
    #[must_use]
    pub fn remarked(&self, word: &str, name: &str, remark: &str, right: &str) -> String {
        let name = &*one_line(name);
        let remark = if remark.is_empty() { String::new() } else { format!("({})", one_line(remark)) };
        let (name, remark) = match self.width {
            Some(width) => {
                let space =
                    width.min(WIDEST).saturating_sub(WORD + 4 + if right.is_empty() { 0 } else { width_of(right) + 2 });
                // Names distinguish lines, so a remark gets the space that the name leaves, if that is enough.
                let whole = width_of(name) + width_of(&remark) <= space;
                let name = if whole { name.to_owned() } else { middle(&without_stages(name), space) };
                let rest = space.saturating_sub(width_of(&name));
                (name, if rest < REMARK { String::new() } else { middle(&remark, rest) })
            }
            None => (name.to_owned(), remark),
        };
        let gap = if remark.is_empty() { "" } else { " " };
        let remark = Styles::paint(self.styles.faint, &remark);
        format!("{word}  {}", self.name_and(&format!("{name}{gap}{remark}"), right))
    }

    /// Formats the progress of an instance, with epoch, loss, curve of the loss, rate (units per second) and seconds
    /// left, as far as they are known.
    #[must_use]
    pub fn progress(&self, event: &Event, losses: &[f64], rate: Option<f64>, left: Option<u64>) -> Option<String> {
        let Event::Progress { instance, done, total, unit, epoch, epochs, loss } = event else { return None };
        let mut parts = Vec::new();
        if *total > 0 {
            let fraction = *done as f64 / *total as f64;
            parts.push(if self.width.is_some() { bar(fraction) } else { format!("{:3.0} %", fraction * 100.0) });
        } else {
            parts.push(format!("{done} {unit}"));
        }
        if let (Some(epoch), Some(epochs)) = (epoch, epochs) {
            parts.push(format!("epoch {epoch}/{epochs}"));
        }
        let way = if self.width.is_some_and(|width| width >= 100) { sparkline(losses) } else { String::new() };
        parts.extend(loss.map(|loss| format!("loss {} {way}", number(loss)).trim_end().to_owned()));
        let rate = rate.filter(|rate| *rate > 0.0 && rate.is_finite());
        let rate_at = parts.len();
        parts.extend(rate.map(|rate| format!("{} {unit}/s", short(rate))));
        parts.extend(left.map(|left| format!("{} left", clock(left))));

        let instance = &*one_line(instance);
        let Some(width) = self.width else { return Some(format!("{:WORD$}  {instance} {}", "", parts.join("  "))) };
        let space = width.min(WIDEST).saturating_sub(3);
        if rate.is_some() && width_of(&parts.join("  ")) + 20 > space {
            parts.remove(rate_at);
        }
        let text = parts.join("  ");
        let room = space.saturating_sub(width_of(&text) + 2).max(8);
        let name = named(instance, room.min(44));
        let pad = room.min(44).saturating_sub(width_of(&name));
        Some(format!("{name}{:pad$}  {text}", ""))
    }

    /// Formats the progress of a run with `jobs` instances at a time: counts of finished instances, and the remaining
    /// work in seconds and in instances of unknown length.
    #[must_use]
    pub fn whole(
        &self,
        stages: usize,
        counts: &BTreeMap<Status, usize>,
        left: Option<(f64, usize)>,
        jobs: usize,
    ) -> String {
        let done: usize = counts.values().sum();
        let mut text = format!("{} of {stages} stages to go", stages.saturating_sub(done));
        let outlook = left.map(|(seconds, unknown)| outlook(seconds, unknown, jobs)).unwrap_or_default();
        if !outlook.is_empty() {
            text.push_str(&format!(", {outlook}"));
        }
        let counts: Vec<String> = counts.iter().map(|(status, count)| format!("{count} {}", status.word())).collect();
        if !counts.is_empty() {
            text.push_str(&format!(": {}", counts.join(", ")));
        }
        // The clock takes the columns before it.
        let space = self.width.map_or(usize::MAX, |width| width.saturating_sub(12));
        Styles::paint(self.styles.faint, &truncate_str(&text, space, "…"))
    }

    /// Formats a status word, aligned to its column.
    #[must_use]
    pub fn word(&self, word: &str, style: anstyle::Style) -> String {
        let pad = WORD.saturating_sub(width_of(word));
        format!("{:pad$}{}", "", Styles::paint(style, word))
    }

    /// Formats a name on the left and a short text on the right.
    #[must_use]
    pub fn name_and(&self, name: &str, right: &str) -> String {
        let space = self.width.unwrap_or(80).min(WIDEST).saturating_sub(WORD + 3);
        let room = space.saturating_sub(if right.is_empty() { 0 } else { width_of(right) + 2 });
        let name = if self.width.is_some() { named(name, room) } else { name.to_owned() };
        if right.is_empty() {
            return name;
        }
        let pad = space.saturating_sub(width_of(&name) + width_of(right)).max(2);
        format!("{name}{:pad$}{}", "", Styles::paint(self.styles.faint, right))
    }

    fn fits(&self, name: &str, message: &str) -> bool {
        WORD + 5 + width_of(name) + width_of(message) <= self.width.map_or(usize::MAX, |width| width.min(WIDEST))
    }
}

/// Formats the summary of a run: `12 cached, 5 ran in 1 min 12 s`.
#[must_use]
pub fn summary(counts: &Counts, seconds: f64, styles: &Styles) -> String {
    let all = [
        (counts.cached, Status::Cached),
        (counts.ran, Status::Ran),
        (counts.resumed, Status::Resumed),
        (counts.failed, Status::Failed),
        (counts.blocked, Status::Blocked),
    ];
    let always = [Status::Cached, Status::Ran];
    let parts: Vec<String> = all
        .into_iter()
        .filter(|(count, status)| *count > 0 || always.contains(status))
        .map(|(count, status)| {
            let style = if count > 0 { styles.of(status) } else { anstyle::Style::new() };
            Styles::paint(style, &format!("{count} {}", status.word()))
        })
        .collect();
    format!("{} in {}", parts.join(", "), duration(seconds))
}

/// Formats the position of a saved state: `after epoch 3, step 40`.
#[must_use]
pub fn after(epoch: u64, step: u64) -> String {
    if step == 0 { format!("after epoch {epoch}") } else { format!("after epoch {epoch}, step {step}") }
}

/// Shortens the name of an instance to at most `width` columns: first its axes lose their stages, then the name loses
/// its middle.
fn named(instance: &str, width: usize) -> String {
    if width_of(instance) <= width { instance.to_owned() } else { middle(&without_stages(instance), width) }
}

/// Returns the name of an instance with its axes named as in tables: `probe@policy=random` for
/// `probe@batches.policy=random`.
pub(super) fn without_stages(instance: &str) -> String {
    let Some((stage, axes)) = instance.split_once('@') else { return instance.to_owned() };
    let last = |part: &str| match part.split_once('=') {
        Some((axis, value)) => format!("{}={value}", axis.rsplit('.').next().unwrap_or(axis)),
        None => part.to_owned(),
    };
    let axes: Vec<String> = InstanceName::parts(axes).map(last).collect();
    format!("{stage}@{}", axes.join(","))
}

/// Returns the text, or its two ends with `…` between them, in at most `width` columns.
#[must_use]
pub fn middle(text: &str, width: usize) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let ends = width.saturating_sub(1);
    let (head, tail) = (ends.div_ceil(2), ends / 2);
    let mut start = String::new();
    for c in text.chars() {
        if width_of(&start) + width_of(c.encode_utf8(&mut [0; 4])) > head {
            break;
        }
        start.push(c);
    }
    let mut end = String::new();
    for c in text.chars().rev() {
        if width_of(&end) + width_of(c.encode_utf8(&mut [0; 4])) > tail {
            break;
        }
        end.insert(0, c);
    }
    format!("{start}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_lose_the_stages_of_their_axes_first() {
        let name = "probe@batches.policy=random,simclr.head=[8, 4],probe.at=p1";
        assert_eq!(named(name, 58), name);
        assert_eq!(named(name, 50), "probe@policy=random,head=[8, 4],at=p1");
        assert_eq!(named(name, 20), "probe@poli… 4],at=p1");
        assert_eq!(named("images", 4), "im…s");
    }

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(middle("probe@probe.at=p1", 17), "probe@probe.at=p1");
        assert_eq!(middle("probe@batches.policy=random,probe.at=p1", 20), "probe@batc…obe.at=p1");
        assert_eq!(middle("日本語日本語", 7), "日…語");
        assert_eq!(middle("abc", 1), "…");
    }
}
