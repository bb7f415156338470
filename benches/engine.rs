//! What a run costs when there is nothing to do: `cargo bench --bench engine`.
//!
//! Real kinds of stages are used, but their code never runs: only parsing, wiring, keys and manifests are measured.

use std::{fmt::Write, hint::black_box, path::Path};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use strata::{diagnostic::Sources, engine, engine::Graph, pipeline, stages::registry, store::Store};

/// A dataset and a sweep of `points` values over the stage that stands on it.
fn sweep(points: usize) -> String {
    let values: Vec<String> = (0..points).map(|seed| seed.to_string()).collect();
    format!(
        "[stage.images]\nkind = 'dataset'\n[stage.noise]\nkind = 'noise'\ninputs = {{ images = 'images.train' }}\n\
         [sweep]\n'noise.seed' = [{}]\n",
        values.join(", ")
    )
}

/// A dataset and a row of noise stages side by side.
fn wide(stages: usize) -> String {
    let mut text = "[stage.images]\nkind = 'dataset'\n".to_owned();
    for stage in 1..stages {
        writeln!(text, "[stage.n{stage}]\nkind = 'noise'\ninputs = {{ images = 'images.train' }}\nseed = {stage}")
            .expect("a string can be written to");
    }
    text
}

fn plan(text: &str, store: &Store) -> usize {
    let mut sources = Sources::default();
    sources.add("bench.toml", text);
    let (pipeline, found) = pipeline::parse(&sources, Path::new("bench.toml"), &registry());
    let graph = Graph::build(pipeline, found).expect("the file is right");
    let selection = graph.select(&[]).expect("everything");
    engine::plan(&graph, &selection, store, false).expect("the cache can be read").stages.len()
}

fn engine_benches(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(folder.path());
    let mut group = c.benchmark_group("plan");
    for stages in [50, 500] {
        let text = wide(stages);
        group.bench_function(BenchmarkId::new("stages", stages), |b| b.iter(|| plan(black_box(&text), &store)));
    }
    for points in [100, 1000] {
        let text = sweep(points);
        group.bench_function(BenchmarkId::new("instances", points), |b| b.iter(|| plan(black_box(&text), &store)));
    }
    group.finish();
}

criterion_group!(benches, engine_benches);
criterion_main!(benches);
