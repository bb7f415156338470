//! Output for people and scripts: reporters of a run, tables as text, figures, and the page.
//!
//! This module knows events, rows and the cache, but no graph and no pipeline. The verbs pass the content to show.

pub mod drawing;
mod escape;
pub mod exported;
pub mod figure;
mod file_name;
pub mod files;
mod folding;
mod gauge;
mod grid;
mod jsonl;
mod line;
mod listing;
mod mlflow;
pub mod page;
mod palette;
mod plain;
pub mod sections;
mod style;
mod tensorboard;
mod terminal;

pub use escape::one_line;
pub use figure::Figure;
pub use file_name::{Wanted, file_names};
pub use jsonl::JsonLines;
pub use line::{Lines, after, middle, summary};
pub use mlflow::Mlflow;
pub use plain::Plain;
pub use style::Styles;
pub use tensorboard::Tensorboard;
pub use terminal::Terminal;
