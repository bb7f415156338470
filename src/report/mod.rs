//! What people and scripts see: reporters of a run, and tables.
//!
//! Knows events and rows, no graph, no pipeline and no cache: the verbs bring what is to be shown.

mod amount;
pub mod drawing;
pub mod figure;
mod grid;
mod jsonl;
mod line;
pub mod page;
mod plain;
mod statistics;
mod style;
mod terminal;

pub use amount::{bytes, clock, duration, number, percent};
pub use figure::Figure;
pub use grid::{Align, Grid};
pub use jsonl::JsonLines;
pub use line::{Lines, middle, outlook, sparkline, summary};
pub use plain::Plain;
pub use statistics::{Estimate, differs, holm, paired_p};
pub use style::Styles;
pub use terminal::Terminal;
