//! What people and scripts see: reporters of a run, and tables.
//!
//! Knows events and rows, no graph, no pipeline and no cache: the verbs bring what is to be shown.

mod amount;
mod archive;
pub mod drawing;
mod escape;
pub mod figure;
mod file_name;
mod gauge;
mod grid;
mod jsonl;
mod line;
mod mlflow;
pub mod page;
mod plain;
mod statistics;
mod style;
mod tensorboard;
mod terminal;

pub use amount::{bytes, clock, duration, number, percent};
pub use archive::{Archive, Past, Picture};
pub use escape::one_line;
pub use figure::Figure;
pub use file_name::{Wanted, file_names};
pub use grid::{Align, Grid};
pub use jsonl::JsonLines;
pub use line::{Lines, after, middle, summary};
pub use mlflow::Mlflow;
pub use plain::Plain;
pub use statistics::{Estimate, differs, holm, paired_p};
pub use style::Styles;
pub use tensorboard::Tensorboard;
pub use terminal::Terminal;
