//! The store on blobs that are no files: what it needs is in [`Blobs`], and nothing is assumed beyond it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use candle_core::{Device, Tensor};
use serde_json::json;

use super::{blobs::Memory, lock::STALE, *};
use crate::digest::{ArtifactHash, StageKey};

fn artifact(value: f32) -> Artifact {
    Artifact::new().with("x", Tensor::new(&[value; 256], &Device::Cpu).expect("a tensor"))
}

fn memory() -> (Arc<Memory>, Store) {
    let memory = Arc::new(Memory::default());
    (Arc::clone(&memory), Store::on(memory))
}

/// Writes and commits work whose one output holds `value`.
fn work(store: &Store, value: f32, seconds: f64) -> Result<(StageKey, Output), StoreError> {
    let output = store.write(&artifact(value))?;
    let manifest = json!({
        "recipe": { "kind": "toy", "version": 1, "params": { "value": value }, "inputs": {} },
        "outputs": { "out": output },
        "metrics": { "accuracy": 0.5 },
        "series": {},
        "seconds": seconds,
        "provenance": { "strata": "0", "instance": "p/toy", "finished": "", "device": "cpu", "threads": 1 },
    });
    Ok((store.commit(&serde_json::from_value(manifest).expect("a manifest"))?, output))
}

#[test]
fn a_file_is_kept_as_it_is() -> Result<(), StoreError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_, memory) = memory();
    for store in [memory, Store::open(folder.path().join("cache"))] {
        let file = folder.path().join("model.bin");
        let put = |bytes: &[u8]| {
            std::fs::write(&file, bytes).expect("written");
            store.write_file(&file)
        };
        let output = put(b"any bytes")?;
        assert_eq!((output.hash, output.bytes), (ArtifactHash::of(b"any bytes"), 9));
        assert!(store.has(&output.hash)? && store.verify(false)?.is_clean());
        assert_eq!(store.read_bytes(&output.hash)?, b"any bytes");
        assert!(store.read(&output.hash).is_err(), "it is no artifact");
        if let Some(object) = store.object_path(&output.hash)? {
            std::fs::write(object, b"ANY BYTES").expect("written");
            assert_eq!(store.verify(false)?.corrupt.len(), 1);
            put(b"any bytes")?;
        }
        assert_eq!(put(b"any bytes")?, output);
        assert_eq!(store.read_bytes(&output.hash)?, b"any bytes", "what was damaged is written again");
        store.discard(&output.hash)?;
        assert!(!store.has(&output.hash)?);
    }
    Ok(())
}

#[test]
fn work_is_found_read_verified_and_forgotten() -> Result<(), StoreError> {
    let (memory, store) = memory();
    assert!(store.root().is_none() && store.is_there()? && store.place() == "memory:");
    store.ensure_writable()?;
    assert_eq!(store.lookup(&StageKey::of(b"unknown"))?, Lookup::Absent);
    let (key, output) = work(&store, 1.0, 1.0)?;
    assert!(matches!(store.lookup(&key)?, Lookup::Found(found) if store.has_all(&found)?));
    assert_eq!(store.read(&output.hash)?.tensor("x")?.to_vec1::<f32>().expect("numbers"), [1.0; 256]);
    assert_eq!(store.object_path(&output.hash)?, None);

    // Damage of the same size shows when it is read, a lost object at once.
    let name = names::object(&output.hash);
    memory.put(&name, &vec![7; usize::try_from(output.bytes).expect("few")], Put::Replace)?;
    let error = store.read(&output.hash).expect_err("other bytes").to_string();
    assert_eq!(error, format!("memory:{name} is corrupt: its {} bytes have another hash than its name", output.bytes));
    assert_eq!(store.verify(true)?.corrupt.len(), 1);
    let missing = Lookup::Damaged { port: "out".to_owned(), damage: Damage::Missing };
    assert_eq!((store.lookup(&key)?, store.verify(false)?.missing), (missing, vec![(key, "out".to_owned())]));
    assert!(matches!(store.read(&output.hash), Err(StoreError::Io { action: "read", .. })));

    work(&store, 1.0, 1.0)?;
    assert!(store.verify(false)?.is_clean());
    store.forget(&key)?;
    assert!(store.manifests()?.is_empty() && store.objects()?.is_empty());
    Ok(())
}

#[test]
fn a_lock_has_one_holder_until_its_beat_stops() -> Result<(), StoreError> {
    let (memory, store) = memory();
    let key = StageKey::of(b"work");
    let Attempt::Held(mut lock) = store.try_lock(&key)? else { panic!("nobody else is there") };
    // As if it were of another machine, whose processes cannot be seen.
    let theirs = memory.get(&names::lock(&key))?.expect("a lock");
    let mut holder: serde_json::Value = serde_json::from_slice(&theirs).expect("JSON");
    holder["host"] = json!("elsewhere");
    memory.put(&names::lock(&key), holder.to_string().as_bytes(), Put::Replace)?;
    memory.wait(STALE);
    assert!(matches!(store.try_lock(&key)?, Attempt::Busy(holder) if holder.host == "elsewhere"));
    memory.wait(Duration::from_secs(1));
    assert!(store.holder(&key)?.is_none() && store.holders()?.is_empty());
    let Attempt::Held(mut next) = store.try_lock(&key)? else { panic!("its beat has stopped") };
    assert!(!lock.beat("late", &BTreeSet::new())? && next.beat("epoch 1/2", &BTreeSet::new())?);
    drop(lock);
    assert_eq!(
        store.holder(&key)?.map(|holder| holder.progress).as_deref(),
        Some("epoch 1/2"),
        "it is not the first's"
    );
    drop(next);
    assert!(memory.is_empty(names::LOCKS)?);
    Ok(())
}

#[test]
fn garbage_collection_evicts_what_is_cheap_and_leaves_a_mark() -> Result<(), StoreError> {
    let (memory, store) = memory();
    let (cheap, dear, pinned) = (work(&store, 1.0, 1.0)?, work(&store, 2.0, 100.0)?, work(&store, 3.0, 0.1)?);
    store.pin(&pinned.0)?;
    memory.put(&format!("{}/old", names::TMP), b"unfinished", Put::Replace)?;
    let states = store.checkpoints(&StageKey::of(b"way")).of("p/toy".to_owned());
    states.save(Position { epoch: 1, step: 0 }, &artifact(4.0).attribute(SECONDS, 50.0), |_| false)?;
    let chosen = store.plan_gc(store.bytes()? - 1, &|_| None)?;
    let kinds: Vec<VictimKind> = chosen.victims.iter().map(|victim| victim.kind).collect();
    assert_eq!(kinds, [VictimKind::Object(cheap.1.hash)]);
    store.collect(&chosen)?;
    assert!(store.is_evicted(&cheap.1.hash)? && matches!(store.lookup(&cheap.0)?, Lookup::Found(_)));

    // A run that goes on keeps everything that was made since it began.
    let announced = store.announce()?;
    let Some(mut lock) = announced else { panic!("the name is its own") };
    lock.beat("a run", &BTreeSet::from([dear.0]))?;
    assert!(store.plan_gc(0, &|_| None)?.victims.is_empty());
    drop(lock);
    store.collect(&store.plan_gc(0, &|_| None)?)?;
    assert!(store.is_evicted(&dear.1.hash)? && store.has(&pinned.1.hash)? && store.saved_states()?.is_empty());
    assert!(store.unpin(&pinned.0)? && !store.unpin(&pinned.0)?);
    Ok(())
}

#[test]
fn saved_states_and_records_need_no_folder() -> Result<(), StoreError> {
    let (_, store) = memory();
    let (way, at) = (StageKey::of(b"way"), |epoch| Position { epoch, step: 0 });
    let states = store.checkpoints(&way);
    for epoch in 1..=3 {
        states.save(at(epoch), &artifact(epoch as f32).attribute(SECONDS, epoch), |old| old.epoch == 1)?;
    }
    let known = store.saved_states()?.into_iter().map(|state| (state.trajectory, state.at, state.seconds));
    assert_eq!(known.collect::<Vec<_>>(), [(way, at(1), 1.0), (way, at(3), 3.0)]);
    assert_eq!((states.position(at(2))?, states.latest(at(9))?.map(|(at, _)| at)), (Some(at(1)), Some(at(3))));
    states.clear()?;
    assert!(!store.has_checkpoints()?);

    let file = std::path::Path::new("pipelines/p.toml");
    let mut history = store.history(file);
    history.note("clusters@clusters.clusters=8", way);
    store.save(&history)?;
    assert_eq!(store.history(file).last("clusters"), Some(way));
    Ok(())
}
