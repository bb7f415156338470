//! Reads results: rows, tables, comparisons, and the meaning of metrics.
//!
//! Reading order: `rows`, the instances that have numbers; `metric`, their units and headers; `grid`, a table as data,
//! and `table`, the tables that people read; `pivot`, one metric over two axes; `statistics`, means, intervals and
//! tests; `contrast` and `compare`, comparisons of arms; `archive`, `catalogue` and `images`, other data in the cache.

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
    archive::{Past, Picture, StoredResults, Upstream},
    catalogue::{Catalogue, short, words},
    compare::{Comparison, by_seed, compare, grid, interval},
    contrast::{Arm, Baseline},
    error::ResultsError,
    grid::{Align, Grid},
    images::{Images, jpeg, png},
    metric::{Described, Metrics},
    pivot::{Pivot, Pivoted},
    rows::{JsonRow, Results, Row, score},
    statistics::{Estimate, differs, holm, paired_p},
};
