//! Random and mutated bytes for everything that is read: no panic, and no allocation far beyond the input's size.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    test_runner::{FileFailurePersistence, RngSeed},
};
use strata::{
    diagnostic::Sources,
    digest::StageKey,
    graph::Graph,
    pipeline,
    stages::registry,
    store::{Artifact, Attempt, Lookup, Manifest, Position, Store},
};

use crate::support::cases;

/// The system's allocator, which notes the largest block that each thread asks for.
struct Watching;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn note(size: usize) {
    // A thread that ends has no such cell any more.
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
}

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the contract of `GlobalAlloc`, which is that of `System` too.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the contract of `GlobalAlloc`, which is that of `System` too.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `GlobalAlloc`, which is that of `System` too.
        unsafe { System.dealloc(block, layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the caller keeps the contract of `GlobalAlloc`, which is that of `System` too.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// Runs `work` on an input of `size` bytes; no block may be larger than a small multiple of that.
fn within<T>(size: usize, work: impl FnOnce() -> T) -> T {
    LARGEST.set(0);
    let result = work();
    let (largest, most) = (LARGEST.get(), 64 * size + (1 << 20));
    assert!(largest <= most, "a block of {largest} bytes for an input of {size}");
    result
}

const FILES: [&str; 7] = [
    include_str!("all_kinds.toml"),
    include_str!("../../pipelines/quickstart.toml"),
    include_str!("../../pipelines/cifar10.toml"),
    include_str!("../../pipelines/imagenet5.toml"),
    include_str!("../../pipelines/zip.toml"),
    include_str!("../../pipelines/variants.toml"),
    include_str!("../../pipelines/loop.toml"),
];

/// What a file may hold at an unlucky place.
const WORDS: [&str; 30] = [
    "[stage.x]",
    "[sweep]",
    "[pipeline]",
    "kind = ",
    "inputs = {",
    "}",
    "]",
    "\"",
    "\"\"\"",
    "= ",
    "\n",
    "ü",
    "日本",
    "\u{feff}",
    "99999999999999999999",
    "-1",
    "1e400",
    "nan",
    "18446744073709551615",
    "true",
    "'a.b.c'",
    "@",
    "[[",
    "\0",
    "\"= ",
    "\"range(1, 9, *2)\"",
    "zip = [{",
    "exclude = [{",
    "[variant.v]",
    "[loop.l]",
];

/// One change of some bytes.
#[derive(Clone, Debug)]
enum Change {
    Byte(Index, u8),
    Cut(Index, Index),
    Word(Index, &'static str),
    Again(Index),
    Number(Index, &'static str),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Cut(from, to)),
        (any::<Index>(), select(&WORDS[..])).prop_map(|(at, word)| Change::Word(at, word)),
        any::<Index>().prop_map(Change::Again),
        (any::<Index>(), select(&WORDS[13..20])).prop_map(|(at, word)| Change::Number(at, word)),
    ]
}

fn mutated(original: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for change in changes {
        let length = bytes.len().max(1);
        match change {
            Change::Byte(at, byte) => {
                if let Some(old) = bytes.get_mut(at.index(length)) {
                    *old = *byte;
                }
            }
            Change::Cut(from, to) => {
                let from = from.index(length).min(bytes.len());
                let to = (from + to.index(40)).min(bytes.len());
                drop(bytes.drain(from..to));
            }
            Change::Word(at, word) => {
                let at = at.index(length).min(bytes.len());
                drop(bytes.splice(at..at, word.bytes()));
            }
            Change::Again(at) => {
                let at = at.index(length).min(bytes.len());
                let line: Vec<u8> =
                    bytes[at..].split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default().to_vec();
                drop(bytes.splice(at..at, line));
            }
            Change::Number(at, word) => {
                // The next digits become something else.
                let at = at.index(length).min(bytes.len());
                if let Some(from) = bytes[at..].iter().position(u8::is_ascii_digit).map(|found| at + found) {
                    let to =
                        bytes[from..].iter().position(|byte| !byte.is_ascii_digit()).map_or(bytes.len(), |n| from + n);
                    drop(bytes.splice(from..to, word.bytes()));
                }
            }
        }
    }
    bytes
}

/// Reads a pipeline and shows its mistakes. True if it has none.
fn read(texts: &[&str]) -> bool {
    let mut sources = Sources::default();
    for text in texts {
        sources.add("pipelines/fuzz.toml", *text);
    }
    let (pipeline, found) = pipeline::parse(&sources, Path::new("pipelines/fuzz.toml"), &registry());
    match Graph::build(pipeline, found) {
        Ok(_) => true,
        Err(mistakes) => {
            assert!(!mistakes.is_empty(), "refused without a word");
            for mistake in mistakes.iter().take(20) {
                assert!(!mistake.render(&sources, true).is_empty());
                let _ = sources.place(&mistake.span);
            }
            false
        }
    }
}

fn artifact() -> Vec<u8> {
    let tensor = |values: &[f32]| candle_core::Tensor::new(values, &candle_core::Device::Cpu).expect("a tensor");
    let artifact = Artifact::new().with("a", tensor(&[1.0, 2.0])).with("b", tensor(&[3.0; 30])).attribute("x", "y");
    artifact.to_bytes().expect("bytes")
}

fn manifest() -> Manifest {
    serde_json::from_value(serde_json::json!({
        "recipe": { "kind": "noise", "version": 1, "params": { "std": 0.1, "nested": { "a": [1, 2] } }, "inputs": {} },
        "outputs": { "images": { "hash": "ab".repeat(32), "bytes": 17 } },
        "metrics": { "accuracy": 0.5 },
        "series": { "loss": [[1, 0.5], [2, 0.25]] },
        "seconds": 1.5,
        "provenance": { "strata": "0.1.0", "instance": "p/noise", "finished": "", "device": "cpu", "threads": 2 },
    }))
    .expect("a manifest")
}

/// The one file below a folder of the cache.
fn only(store: &Store, folder: &str) -> std::path::PathBuf {
    let mut path = store.root().expect("a folder").join(folder);
    while path.is_dir() {
        path = fs::read_dir(path).expect("a folder").next().expect("one entry").expect("an entry").path();
    }
    path
}

/// The same cases in every run, unless the environment says otherwise; what fails is kept beside this file.
fn config() -> ProptestConfig {
    let (first, count) = cases("fuzz", 300);
    let kept = FileFailurePersistence::Direct("tests/it/fuzz.regressions");
    ProptestConfig {
        cases: u32::try_from(count).expect("a number of cases"),
        rng_seed: RngSeed::Fixed(first),
        failure_persistence: Some(Box::new(kept)),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn mutated_pipelines(file in select(&FILES[..]), changes in vec(change(), 1..8)) {
        let bytes = mutated(file.as_bytes(), &changes);
        let text = String::from_utf8_lossy(&bytes);
        within(text.len(), || read(&[&text]));
    }

    #[test]
    fn random_pipelines(text in "\\PC{0,200}", words in vec(select(&WORDS[..]), 0..30)) {
        read(&[&text]);
        read(&[&words.concat()]);
    }

    #[test]
    fn overrides(text in "\\PC{0,60}", words in vec(select(&WORDS[..]), 0..6), key in select(&[
        "simclr.epochs", "simclr.optimizer.lr", "simclr.encoder", "images.train", "probe.c", "pipeline.seed", "simclr.encoder.n",
    ][..])) {
        let set = format!("{key}={}", words.concat());
        let other = format!("{key}={text}");
        for set in [text.as_str(), &set, &other] {
            read(&[FILES[0], set, set]);
        }
    }

    #[test]
    fn artifacts(changes in vec(change(), 1..6), random in vec(any::<u8>(), 0..200)) {
        let bytes = mutated(&artifact(), &changes);
        let _ = within(bytes.len(), || Artifact::from_bytes(&bytes));
        let _ = within(random.len(), || Artifact::from_bytes(&random));
    }

    #[test]
    fn manifests(changes in vec(change(), 1..6)) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(folder.path());
        let key = store.commit(&manifest()).expect("a commit");
        let path = only(&store, "manifests-v1");
        let before = fs::read(&path).expect("a manifest");
        let bytes = mutated(&before, &changes);
        fs::write(&path, &bytes).expect("written");
        let found = within(bytes.len(), || store.lookup(&key)).expect("no error");
        prop_assert_eq!(found == Lookup::Absent, bytes != before);
        let _ = store.plan_gc(0, &|_| None).expect("upkeep goes on");
        // Behind the hash: what a reader makes of any JSON.
        let plain = mutated(&serde_json::to_vec(&manifest()).expect("JSON"), &changes);
        if let Ok(read) = within(plain.len(), || serde_json::from_slice::<Manifest>(&plain)) {
            let _ = (read.recipe.key(), read.recipe.trajectory(&["epochs"]));
        }
    }

    #[test]
    fn states(names in vec("[0-9]{0,25}-[0-9]{0,25}-[0-9a-f]{0,70}(\\.safetensors)?|\\PC{1,40}", 1..5), content in vec(any::<u8>(), 0..50)) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(folder.path());
        let states = store.checkpoints(&StageKey::of(b"way"));
        let at = Position { epoch: 3, step: 0 };
        states.save(at, &Artifact::from_bytes(&artifact()).expect("an artifact"), |_| true).expect("saved");
        let place = only(&store, "checkpoints-v1").parent().expect("a folder").to_owned();
        for name in names.iter().map(|name| name.replace(['/', '\0'], "_")) {
            let _ = fs::write(place.join(name), &content);
        }
        let far = Position { epoch: u64::MAX, step: u64::MAX };
        let found = states.latest(far).expect("no error").map(|(at, _)| at);
        prop_assert_eq!(found, Some(at), "the one sound state");
        let _ = states.position(far).expect("no error");
    }

    #[test]
    fn locks(changes in vec(change(), 0..6), age in select(&[-1e10, -100.0, 0.0, 100.0][..])) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(folder.path());
        let key = StageKey::of(b"work");
        let Attempt::Held(lock) = store.try_lock(&key).expect("no error") else { panic!("nobody is there") };
        let path = only(&store, "locks-v1");
        let bytes = mutated(&fs::read(&path).expect("a lock"), &changes);
        fs::write(&path, &bytes).expect("written");
        let file = fs::File::options().write(true).open(&path).expect("opened");
        let now = SystemTime::now();
        let time = if age < 0.0 { now + Duration::from_secs_f64(-age) } else { now - Duration::from_secs_f64(age) };
        file.set_modified(time).expect("set");
        let _ = within(bytes.len(), || store.holder(&key)).expect("no error");
        let _ = store.plan_gc(0, &|_| None).expect("upkeep goes on");
        let again = store.try_lock(&key).expect("no error");
        if age > 60.0 {
            prop_assert!(matches!(again, Attempt::Held(_)), "an old lock is taken over, whatever it says");
        }
        drop(lock);
    }
}

#[test]
fn artifacts_that_claim_to_be_huge_are_refused() {
    let header = |json: &str| [&(json.len() as u64).to_le_bytes()[..], json.as_bytes()].concat();
    let tensor = |shape: &str, end: &str| {
        header(&format!("{{\"a\": {{\"dtype\": \"F32\", \"shape\": {shape}, \"data_offsets\": [0, {end}]}}}}"))
    };
    let claims = [
        u64::MAX.to_le_bytes().to_vec(),
        (1u64 << 40).to_le_bytes().to_vec(),
        [&(1u64 << 26).to_le_bytes()[..], b"{}"].concat(),
        tensor("[1099511627776]", "4398046511104"),
        tensor("[4294967296, 4294967296, 4]", "16"),
        tensor("[18446744073709551615, 18446744073709551615, 0]", "0"),
        tensor("[-1]", "4"),
        tensor("[1]", "18446744073709551615"),
    ];
    for bytes in claims {
        let read = within(bytes.len(), || Artifact::from_bytes(&bytes));
        assert!(read.is_err(), "{bytes:?}");
    }
}

#[test]
fn deep_and_long_files_are_mistakes() {
    let deep = 20_000;
    let texts = [
        format!("[{}x]\n", "a.".repeat(deep)),
        format!("{}x = 1\n", "a.".repeat(deep)),
        format!("[stage.{}x]\n", "a.".repeat(deep)),
        format!("x = {}\n", "[".repeat(deep)),
        format!("x = {}\n", "{ a = ".repeat(deep)),
        format!("[stage.images]\nkind = \"{}\"\n", "x".repeat(200_000)),
        format!("[sweep]\n\"{}\" = [1]\n", "x".repeat(200_000)),
    ];
    for text in &texts {
        assert!(!within(text.len(), || read(&[text])));
    }
    for set in [format!("images.{}x=1", "a.".repeat(deep)), format!("images.train={}", "[".repeat(deep))] {
        assert!(!within(set.len(), || read(&[FILES[0], &set])));
    }
}

#[test]
fn a_sweep_without_end_is_a_mistake() {
    let values: Vec<String> = (1..=1000).map(|value| value.to_string()).collect();
    let values = values.join(", ");
    let axes = ["images.seed", "noise.seed", "dae.seed", "clusters.seed"];
    let sweep: String = axes.iter().map(|axis| format!("\"{axis}\" = [{values}]\n")).collect();
    let text = format!("{}\n[sweep]\n{sweep}", FILES[0]);
    let mut sources = Sources::default();
    sources.add("p.toml", text.clone());
    let refused = within(text.len(), || {
        let (pipeline, found) = pipeline::parse(&sources, Path::new("p.toml"), &registry());
        Graph::build(pipeline, found).err()
    });
    let mistakes = refused.expect("a mistake");
    assert!(mistakes[0].message.contains("instances of stages; 1000000 are the most"), "{mistakes:?}");
    assert!(mistakes[0].help.is_some());
}
