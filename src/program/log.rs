//! What a program prints: the beginning and the end of it, however much it is.

use std::collections::VecDeque;

/// Bytes that are kept of the beginning, and of the end.
const KEPT: usize = 1 << 20;
/// Lines of the end that a failure shows.
const SHOWN: usize = 12;

/// The beginning and the end of what a program printed.
#[derive(Debug, Default)]
pub(super) struct Log {
    start: Vec<u8>,
    end: VecDeque<u8>,
    left_out: u64,
}

impl Log {
    /// Adds bytes at the end.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(KEPT - self.start.len()));
        self.start.extend_from_slice(first);
        self.end.extend(rest);
        let over = self.end.len().saturating_sub(KEPT);
        self.end.drain(..over);
        self.left_out += over as u64;
    }

    /// Returns all that is kept, with a line where something is left out.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut all = self.start.clone();
        if self.left_out > 0 {
            all.extend(format!("\n[strata left out {} bytes here]\n", self.left_out).into_bytes());
        }
        all.extend(&self.end);
        all
    }

    /// Returns the last lines, as text.
    pub(super) fn last_lines(&self) -> String {
        let bytes = self.bytes();
        let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(8 << 10)..]).into_owned();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(SHOWN)..].join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_are_kept() {
        let mut log = Log::default();
        for line in 0..500_000 {
            log.push(format!("line {line}\n").as_bytes());
        }
        let text = String::from_utf8(log.bytes()).expect("text");
        assert!(text.starts_with("line 0\nline 1\n") && text.ends_with("\nline 499999\n"));
        assert!(text.len() < 2 * KEPT + 100 && text.contains("[strata left out"));
        assert_eq!(log.last_lines().lines().count(), SHOWN);
        assert!(log.last_lines().ends_with("line 499999"));
    }
}
