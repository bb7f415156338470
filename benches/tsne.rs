//! Seconds of t-SNE: `cargo bench --bench tsne -- FILE columns [perplexity] [iterations] [threads]` on a file of float32
//! rows; `benches/peers/tsne.py` makes such files and runs scikit-learn on them.

use std::{io::Write, time::Instant};

use ndarray::Array2;
use strata::ml::tsne::Tsne;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let Some(file) = arguments.first() else { return Ok(()) };
    let argument = |index: usize, default: usize| arguments.get(index).map_or(Ok(default), |a| a.parse());
    let (columns, perplexity, iterations, threads) =
        (argument(1, 50)?, argument(2, 30)?, argument(3, 1000)?, argument(4, 2)?);
    let bytes = std::fs::read(file)?;
    let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect::<Vec<_>>();
    let features = Array2::from_shape_vec((values.len() / columns, columns), values)?;
    let tsne = Tsne { perplexity: perplexity as f64, iterations, ..Tsne::default() };
    let begun = Instant::now();
    let map = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?.install(|| tsne.fit(features.view()))?;
    let seconds = begun.elapsed().as_secs_f64();
    writeln!(
        std::io::stdout(),
        "ours {seconds:8.3} s, {threads} threads, KL divergence {:.4}, trustworthiness {:.4}",
        map.kl_divergence,
        map.trustworthiness
    )?;
    Ok(())
}
