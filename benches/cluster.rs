//! Seconds of k-means and of the probes. `cargo bench --bench cluster -- [rows] [columns] [clusters] [threads]`
//! `cargo bench --bench cluster -- FILE columns clusters seeds` runs k-means alone on a file of float32 rows, on two
//! threads, once for each seed; `benches/peers/kmeans.py` makes such files and runs the peer on them.
//!
//! The features are rectified mixtures of 20 hidden numbers with some noise. The peer of k-means is scikit-learn's
//! `KMeans(clusters, n_init=1)` on as many threads.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::time::Instant;

use ndarray::{Array2, Axis};
use strata::ml::{
    cluster::KMeans,
    probe::{Knn, Labelled, Logistic},
    rng::Stream,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if let Some(file) = arguments.first().filter(|first| first.parse::<usize>().is_err()) {
        return on_file(file, &arguments[1..]);
    }
    let argument = |index: usize, default: usize| arguments.get(index).map_or(Ok(default), |a| a.parse());
    let (rows, columns, clusters) = (argument(0, 50_000)?, argument(1, 128)?, argument(2, 64)?);
    rayon::ThreadPoolBuilder::new().num_threads(argument(3, 2)?).build()?.install(|| measure(rows, columns, clusters))
}

fn on_file(file: &str, arguments: &[String]) -> Result<(), Failure> {
    let argument = |index: usize, default: usize| arguments.get(index).map_or(Ok(default), |a| a.parse());
    let (columns, clusters, seeds) = (argument(0, 128)?, argument(1, 64)?, argument(2, 1)?);
    let bytes = std::fs::read(file)?;
    let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect::<Vec<_>>();
    let features = Array2::from_shape_vec((values.len() / columns, columns), values)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build()?;
    for seed in 0..seeds as u64 {
        let kmeans = KMeans { clusters, runs: 1, seed, ..KMeans::default() };
        let begun = Instant::now();
        let found = pool.install(|| kmeans.fit(features.view()))?;
        let seconds = begun.elapsed().as_secs_f64();
        println!("ours {seconds:8.3} s, {} iterations, inertia {:.6e}", found.iterations, found.inertia);
    }
    Ok(())
}

fn measure(rows: usize, columns: usize, clusters: usize) -> Result<(), Failure> {
    let mut stream = Stream::new(0, "bench");
    let hidden = Array2::from_shape_simple_fn((rows, 20), || stream.normal());
    let mixing = Array2::from_shape_simple_fn((20, columns), || 0.3 * stream.normal());
    let features = hidden.dot(&mixing).mapv(|x| x.max(0.0) + 0.1 * stream.normal());
    // Ten classes that overlap: fifths of one hidden number, by the sign of another.
    let class = |h: ndarray::ArrayView1<'_, f32>| ((h[0] + 2.5).clamp(0.0, 4.9) as u32) * 2 + u32::from(h[1] > 0.0);
    let labels: Vec<u32> = hidden.rows().into_iter().map(class).collect();

    let begun = Instant::now();
    let found = KMeans { clusters, runs: 1, ..KMeans::default() }.fit(features.view())?;
    let seconds = begun.elapsed().as_secs_f64();
    println!("k-means    {seconds:8.3} s, {} iterations, inertia {:.6e}", found.iterations, found.inertia);

    let (train, test) = features.view().split_at(Axis(0), rows * 5 / 6);
    let train = Labelled { features: train, labels: &labels[..train.nrows()] };
    let begun = Instant::now();
    let fit = Logistic::default().fit(train, 10)?;
    println!("logistic   {:8.3} s, {} iterations", begun.elapsed().as_secs_f64(), fit.iterations);
    let begun = Instant::now();
    let predictions = Knn::default().predict(train, test, false)?;
    println!("neighbours {:8.3} s, {} rows", begun.elapsed().as_secs_f64(), predictions.len());
    Ok(())
}
