//! Reads results: rows, tables, comparisons, and the meaning of metrics.
//!
//! Reading order: `rows`, the instances that have numbers; `metric`, their units and headers; `grid`, a table as data,
//! and `table`, the tables that people read, with `sort`; `pivot`, one metric over two axes, and `stages`, over stages; `statistics`, means, intervals and
//! tests; `contrast` and `compare`, comparisons of arms; `lineage` and `past`, every result of a pipeline, whatever run made it; `archive`, `catalogue` and `images`, other data in the cache.

mod archive;
mod catalogue;
mod compare;
mod contrast;
mod error;
mod grid;
mod images;
mod lineage;
mod metric;
mod past;
mod pivot;
mod rows;
mod sort;
mod stages;
mod statistics;
mod table;

pub use self::{
    archive::{Numbers, Picture, StoredResults, Upstream},
    catalogue::{Catalogue, short, words},
    compare::{Comparison, by_seed, cells, compare, grid},
    contrast::{Arm, Baseline},
    error::ResultsError,
    grid::{Align, Grid},
    images::{Images, jpeg, png},
    lineage::{Lineage, differing, flatten, pipeline_and_instance, stage_of},
    metric::{Described, Metrics},
    past::{Past, PastResults, PastRow},
    pivot::{Pivot, Pivoted},
    rows::{JsonRow, Results, Row, score},
    sort::Sort,
    stages::{ByStage, StagePoint},
    statistics::{Estimate, differs, holm, paired_p},
};
