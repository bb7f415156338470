//! strata runs experiments that a TOML file declares, and never the same work twice.
//!
//! The file describes a graph of stages. Every output is kept in a cache under a key of what made it: the kind of the stage,
//! its parameters, and the content of its inputs. So a run does only what changed, a sweep shares what its points have in
//! common, and an interrupted training continues where it stopped.
//!
//! ```
//! use strata::{experiment::Experiment, run::Options};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let file = folder.path().join("neighbours.toml");
//! std::fs::write(&file, r#"
//!     stage.images = { kind = "dataset", train = 60, test = 40, size = 8 }
//!     stage.train = { kind = "encode", inputs = { images = "images.train" } }
//!     stage.test = { kind = "encode", inputs = { images = "images.test" } }
//!     stage.knn = { kind = "knn_probe", inputs = { train = "train.features", test = "test.features" } }
//! "#)?;
//! let experiment = Experiment::open(&file)?.set("knn.k=1,5,20");
//! let ran = experiment.run(&[], Options::default())?;
//! assert_eq!((ran.counts.ran, ran.counts.failed), (6, 0));
//! for row in experiment.results()?.iter().filter(|row| row.stage == "knn") {
//!     println!("k = {}: {:.3}", row.axes["knn.k"], row.metrics["test_accuracy"]);
//! }
//! assert_eq!(experiment.run(&[], Options::default())?.counts.cached, 6);
//! # Ok(())
//! # }
//! ```
//!
//! # Where to start
//!
//! - To run experiments from a program: [`experiment`], with [`run::Options`]; `examples/sweep.rs`.
//! - To write a kind of stage: [`stage`]; `examples/kind.rs`.
//! - To read what a cache holds: [`store`]; to compare and tabulate it: [`results`].
//! - To train without stages: [`ml`], which knows nothing of the rest.
//!
//! # Map and reading order
//!
//! An import only goes down. To read the code, start at the bottom:
//!
//! ```text
//! cli          one file for each verb of the command line
//! serve        the page of a cache, for browsers of this machine
//! experiment   the facade: open, plan, run, results
//! report       text, HTML, figures, trackers: what people look at
//! search       chooses the next instances from earlier results
//! results      rows, tables, comparisons; what a metric is
//! run          execution: states, executor, worker, events
//! plan         what would run, why, and how long it may take
//! graph        what a file means once its sweep is expanded
//! pipeline     the contents of the pipeline file
//! stage        the contract between all this and the kinds      stages   the kinds
//! store        facts on disk                                    ml       tensors in, tensors out
//! digest       what a hash means      diagnostic   mistakes with their places      amount, threads
//! ```

#[cfg(not(unix))]
compile_error!("strata needs a Unix system: it relies on its signals, links and file identities");

pub mod experiment;
pub mod ml;
pub mod results;
pub mod run;
pub mod stage;
pub mod store;

// What the program, the tests and the benches also need. It may change at any time.
#[doc(hidden)]
pub mod amount;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod diagnostic;
#[doc(hidden)]
pub mod digest;
#[doc(hidden)]
pub mod graph;
#[doc(hidden)]
pub mod pipeline;
#[doc(hidden)]
pub mod plan;
#[doc(hidden)]
pub mod program;
#[doc(hidden)]
pub mod report;
#[doc(hidden)]
pub mod search;
#[doc(hidden)]
pub mod serve;
#[doc(hidden)]
pub mod stages;
#[doc(hidden)]
pub mod threads;
