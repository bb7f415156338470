//! What results say: rows, tables, comparisons, and what a metric is.
//!
//! Reading order: `rows`, the instances that have numbers; `metric`, their units and headers; `grid`, a table as data, and
//! `table`, those that people read; `pivot`, one metric over two axes; `statistics`, means, intervals and tests; `contrast` and
//! `compare`, arms against each other; `archive`, `catalogue` and `images`, what lies in the cache beside
//! the numbers.

mod archive;
mod catalogue;
mod compare;
mod contrast;
mod error;
mod grid;
mod images;
mod metric;
mod pivot;
mod rows;
mod statistics;
mod table;

pub use self::{
    archive::{Past, Picture, StoredResults},
    catalogue::{Catalogue, short, words},
    compare::{Comparison, by_seed, compare, grid},
    contrast::{Arm, Baseline},
    error::ResultsError,
    grid::{Align, Grid},
    images::{Images, jpeg, png},
    metric::{Described, Metrics},
    pivot::{Pivot, Pivoted},
    rows::{JsonRow, Results, Row, score},
    statistics::{Estimate, differs, holm, paired_p},
};
