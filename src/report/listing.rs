//! Lines of a list that lose nothing: what does not fit in the width goes to further lines.

use console::measure_text_width as width_of;

use super::{
    Lines, Styles,
    escape::one_line,
    line::{WIDEST, WORD},
};
use crate::graph::InstanceName;

/// The width of lists in files and pipes.
const USUAL: usize = 80;

impl Lines {
    /// Formats a line of a status word, a name, a remark, and a short text on the right. A long name continues on further
    /// lines, from one of its axes on, and so does a long remark.
    #[must_use]
    pub fn listed(&self, word: &str, name: &str, remark: &str, right: &str) -> String {
        let name = one_line(name);
        let remark = if remark.is_empty() { String::new() } else { format!("({})", one_line(remark)) };
        let room = self.room();
        let right_room = if right.is_empty() { 0 } else { width_of(right) + 2 };
        let faint = |text: &str| Styles::paint(self.styles.faint, text);
        let first = room.saturating_sub(right_room);
        let with_right = |shown: usize, text: String| match right {
            "" => text,
            right => format!("{text}{:1$}{2}", "", room.saturating_sub(shown + width_of(right)).max(2), faint(right)),
        };
        let gap = usize::from(!remark.is_empty());
        let whole = width_of(&name) + gap + width_of(&remark);
        if whole <= first {
            let text = if remark.is_empty() { name.into_owned() } else { format!("{name} {}", faint(&remark)) };
            return format!("{word}  {}", with_right(whole, text));
        }
        let mut names = broken(&axes(&name), first, room.saturating_sub(2)).into_iter();
        let head = names.next().unwrap_or_default();
        let mut text = format!("{word}  {}", with_right(width_of(&head), head));
        for more in names {
            text.push_str(&format!("\n{:1$}{more}", "", WORD + 4));
        }
        for more in wrapped(&remark, room.saturating_sub(2)).iter().filter(|line| !line.is_empty()) {
            text.push_str(&format!("\n{:1$}{2}", "", WORD + 4, faint(more)));
        }
        text
    }

    /// Formats what several instances failed with, and which they are.
    #[must_use]
    pub fn same_error(&self, instances: &[String], message: &str) -> String {
        let word = self.word("failed", self.styles.failed);
        let head = wrapped(&format!("{} instances failed with the same error:", instances.len()), self.room());
        let mut text = format!("{word}  {}", head.join(&format!("\n{:1$}", "", WORD + 2)));
        for part in message.lines() {
            text.push_str(&format!("\n{:1$}{2}", "", WORD + 2, one_line(part)));
        }
        let pieces = |name: &String| {
            let mut pieces = axes(&one_line(name));
            pieces.iter_mut().last().into_iter().for_each(|last| last.push_str("  "));
            pieces
        };
        let names: Vec<String> = instances.iter().flat_map(pieces).collect();
        for line in broken(&names, self.room(), self.room()) {
            text.push_str(&format!("\n{:1$}{2}", "", WORD + 2, line.trim_end()));
        }
        text
    }

    /// Breaks a sentence into lines that fit.
    #[must_use]
    pub fn paragraph(&self, text: &str) -> String {
        wrapped(text, self.room() + WORD + 2).join("\n")
    }

    /// The room beside a status word.
    fn room(&self) -> usize {
        self.width.unwrap_or(USUAL).min(WIDEST).saturating_sub(WORD + 2).max(16)
    }
}

/// Takes the name of an instance apart: the stage with its first axis, and each further axis.
fn axes(name: &str) -> Vec<String> {
    let Some((stage, axes)) = name.split_once('@') else { return vec![name.to_owned()] };
    let parts: Vec<&str> = InstanceName::parts(axes).collect();
    let last = parts.len().saturating_sub(1);
    let part = |(at, part): (usize, &&str)| {
        let comma = if at < last { "," } else { "" };
        if at == 0 { format!("{stage}@{part}{comma}") } else { format!("{part}{comma}") }
    };
    parts.iter().enumerate().map(part).collect()
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let words: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
    broken(&words, width, width).into_iter().map(|line| line.trim_end().to_owned()).collect()
}

/// Puts pieces into lines, of which the first has its own width. A piece that is wider than a line is cut.
fn broken(pieces: &[String], first: usize, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for piece in pieces {
        let room = |lines: &[String]| if lines.len() == 1 { first } else { width }.max(8);
        let last = lines.last().map_or(0, |line| width_of(line));
        if last > 0 && last + width_of(piece.trim_end()) > room(&lines) {
            lines.push(String::new());
        }
        for c in piece.chars() {
            let full = lines.last().map_or(0, |line| width_of(line)) + width_of(c.encode_utf8(&mut [0; 4]));
            if full > room(&lines) && c != ' ' {
                lines.push(String::new());
            }
            if let Some(line) = lines.last_mut() {
                line.push(c);
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str =
        "train_features@batches.batch_size=128,batches.policy=stratified,clusters.clusters=64,probe.at=p3";

    fn lines(width: usize) -> Lines {
        Lines { styles: Styles::default(), width: Some(width) }
    }

    #[test]
    fn a_list_loses_nothing_and_fits() {
        let reason = "waits for simclr@batches.batch_size=128,batches.policy=stratified,clusters.clusters=64";
        for width in [40, 60, 80, 100] {
            let word = lines(width).word("waiting", anstyle::Style::new());
            let text = lines(width).listed(&word, LONG, reason, "1 min 12 s");
            assert!(text.lines().all(|line| width_of(line) <= width), "{width}:\n{text}");
            let squeezed = |text: &str| text.split_whitespace().collect::<String>();
            let shown = squeezed(&text).replacen("1min12s", "", 1);
            assert_eq!(shown, squeezed(&format!("waiting {LONG} ({reason})")), "{width}");
        }
        let short = lines(80).listed("  cached", "images", "", "");
        assert_eq!(short, "  cached  images");
        let beside = lines(80).listed("     run", "images", "new", "2 s");
        assert_eq!((beside.lines().count(), width_of(&beside)), (1, 80), "{beside}");
    }

    #[test]
    fn a_name_breaks_between_axes() {
        let text = lines(80).listed("     run", LONG, "", "");
        let expected = "     run  train_features@batches.batch_size=128,batches.policy=stratified,\n            \
                        clusters.clusters=64,probe.at=p3";
        assert_eq!(text, expected);
    }

    #[test]
    fn an_error_of_several_names_them() {
        let names = ["knn@k=1", "knn@k=2"].map(str::to_owned);
        let text = lines(80).same_error(&names, "no rows\nof 3");
        let expected = "  failed  2 instances failed with the same error:\n          no rows\n          of 3\n          \
                        knn@k=1  knn@k=2";
        assert_eq!(text, expected);
    }
}
