//! What a run costs when there is nothing to do: `cargo bench --bench engine`.
//!
//! `plan`: parsing, wiring and keys of a file whose stages never ran. `process`: the binary from start to exit over
//! finished work, a chain of 50 stages above 184 MB of source files and a sweep of 1,000 instances.

use std::{
    fmt::Write,
    fs,
    hint::black_box,
    path::Path,
    process::{Command, Stdio},
};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use strata::{diagnostic::Sources, graph::Graph, pipeline, plan, stages::registry, store::Store};

/// A dataset and a sweep of `points` values over the stage that stands on it.
fn sweep(points: usize) -> String {
    let values: Vec<String> = (0..points).map(|seed| seed.to_string()).collect();
    format!(
        "[stage.images]\nkind = 'dataset'\n[stage.noise]\nkind = 'noise'\ninputs = {{ images = 'images.train' }}\n\
         [sweep]\n'noise.seed' = [{}]\n",
        values.join(", ")
    )
}

/// 100,053 instances over three axes: what an instance costs where most parameters are shared.
const MERGED: &str = "[stage.images]\nkind = 'dataset'\n\
    [stage.pixels]\nkind = 'encode'\ninputs = { images = 'images.train' }\n\
    [stage.clusters]\nkind = 'kmeans'\ninputs = { features = 'pixels.features' }\n\
    [stage.batches]\nkind = 'sampler'\ninputs = { labels = 'clusters.labels' }\n\
    [sweep]\n'clusters.clusters' = 'range(2, 51)'\n'batches.batch_size' = 'range(16, 320, +16)'\n\
    'batches.seed' = 'range(1, 100)'\n";

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
    plan::plan(&graph, &selection, store, false).expect("the cache can be read").stages.len()
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
    group.sample_size(10);
    group
        .bench_function(BenchmarkId::new("instances", "100000 merged"), |b| b.iter(|| plan(black_box(MERGED), &store)));
    let text = sweep(100_000);
    group.bench_function(BenchmarkId::new("instances", "100000 apart"), |b| b.iter(|| plan(black_box(&text), &store)));
    group.finish();
}

/// Images of CIFAR-10's size and form: six files, 184 MB.
const IMAGES: &str = "[stage.images]\nkind = 'dataset'\nsource = 'cifar10'\npath = 'data'\nsize = 8\nlimit_train = 20\n\
                      limit_test = 20\n";

/// Trainings that each start from the weights of the one before.
fn chain(stages: usize) -> String {
    let mut text = format!(
        "{IMAGES}[stage.s1]\nkind = 'supervised'\ninputs = {{ train = 'images.train', test = 'images.test' }}\n\
         encoder = {{ n = 1, width = 0.25 }}\nepochs = 1\nbatch_size = 16\n"
    );
    for stage in 2..stages {
        write!(
            text,
            "[stage.s{stage}]\nkind = 'fine_tune'\ninputs = {{ weights = 's{}.weights', train = 'images.train', \
             test = 'images.test' }}\nepochs = 1\nwarmup_epochs = 1\nbatch_size = 16\n",
            stage - 1
        )
        .expect("a string can be written to");
    }
    text
}

/// Runs the binary in `folder` and expects that it ends well.
fn run(folder: &Path, pipeline: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strata"));
    command.args(["run", pipeline]).current_dir(folder).env_remove("STRATA_CACHE_DIR");
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("the binary starts");
    assert!(status.success(), "strata run {pipeline}");
}

fn process_benches(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).expect("a file");
    for name in ["pipelines", "data"] {
        fs::create_dir(folder.path().join(name)).expect("a folder");
    }
    let batch: Vec<u8> = (0..10_000 * 3073u32)
        .map(|at| if at % 3073 == 0 { (at / 3073 % 10) as u8 } else { (at.wrapping_mul(2_654_435_761) >> 24) as u8 })
        .collect();
    for name in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
        write(&format!("data/{name}.bin"), &batch);
    }
    write("data/batches.meta.txt", b"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n");
    let sweep = sweep(999).replace("[stage.images]\nkind = 'dataset'\n", IMAGES);
    let mut group = c.benchmark_group("process");
    for (name, text) in [("50 stages", chain(50)), ("1000 instances", sweep)] {
        write("pipelines/bench.toml", text.as_bytes());
        run(folder.path(), "pipelines/bench.toml");
        group.bench_function(name, |b| b.iter(|| run(folder.path(), "pipelines/bench.toml")));
    }
    group.finish();
}

criterion_group!(benches, engine_benches, process_benches);
criterion_main!(benches);
