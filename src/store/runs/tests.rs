use std::fs;

use super::*;
use crate::digest::StageKey;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(folder.path().join("cache"));
    (folder, store)
}

fn begin(store: &Store, file: &str) -> (RunId, Recording) {
    let (id, recording) = store.new_run();
    let recording = recording.expect("made").expect("a local folder");
    recording.begin(&RunRecord { file: file.to_owned(), ..RunRecord::here(id.clone()) }).expect("written");
    (id, recording)
}

#[test]
fn a_run_is_running_then_done_or_lost() -> Result<(), StoreError> {
    let (_folder, store) = store();
    assert_eq!(store.runs()?, Runs::default(), "an old cache has no runs");
    let (first, mut recording) = begin(&store, "a.toml");
    let key = StageKey::of(b"work");
    let line = format!(
        "{{\"event\":\"stage_finished\",\"instance\":\"a\",\"status\":\"ran\",\"key\":\"{key}\",\"seconds\":1.5}}\n"
    );
    recording.line(line.as_bytes())?;
    recording.line(b"{\"event\":\"progress\",\"instance\":\"b\"}\n{\"event\":\"stage_fin")?;
    recording.flush()?;
    let run = store.run(&first).expect("a whole record").expect("there");
    assert_eq!(run.status, RunStatus::Running);
    let outcome = RunOutcome { status: "ran".to_owned(), key: Some(key), seconds: Some(1.5) };
    assert_eq!(store.run_outcomes(&run)?, BTreeMap::from([("a".to_owned(), outcome.clone())]));
    assert!(store.old_runs(Duration::ZERO)?.is_empty(), "it is under way");

    let outcomes = BTreeMap::from([("a".to_owned(), outcome)]);
    recording.end(&RunEnd { outcomes, ..RunEnd::new(RunStatus::Done, 2.0) })?;
    let (second, lost) = begin(&store, "b.toml");
    drop(lost);
    let runs = store.runs()?;
    let seen: Vec<_> = runs.runs.iter().map(|run| (run.record.id.clone(), run.status)).collect();
    assert_eq!(seen, [(second, RunStatus::Lost), (first.clone(), RunStatus::Done)]);
    assert_eq!(store.run_outcomes(&runs.runs[1])?.len(), 1);
    let last = store.last_run(|run| run.record.file == "a.toml", &mut |_| {})?;
    assert_eq!(last.map(|run| run.record.id), Some(first.clone()));

    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(store.old_runs(Duration::ZERO)?.len(), 2);
    assert!(store.old_runs(Duration::from_secs(60))?.is_empty());
    store.forget_run(&first)?;
    assert_eq!(store.run(&first), Ok(None));
    Ok(())
}

#[test]
fn a_record_that_cannot_be_used_is_passed_over_with_a_word() -> Result<(), StoreError> {
    let (folder, store) = store();
    let path = |id: &RunId, name: &str| folder.path().join("cache/runs-v1").join(id.as_ref()).join(name);
    let words: [(&str, &str, &str); 3] = [
        (RUN, "{\"format\":1,\"id\":\"2026", "run.json is damaged"),
        (RUN, "{\"format\":2,\"shape\":\"another\"}", "has format 2"),
        (END, "{\"format\":1,\"status\":\"do", "the run counts as lost"),
    ];
    for (name, text, word) in words {
        let (id, recording) = begin(&store, "a.toml");
        recording.end(&RunEnd::new(RunStatus::Done, 1.0))?;
        fs::write(path(&id, name), text).expect("damaged");
        let runs = store.runs()?;
        assert_eq!(runs.passed_over.len(), 1, "{runs:?}");
        assert!(runs.passed_over[0].to_string().contains(word), "{runs:?}");
        assert_eq!(
            runs.runs.iter().map(|run| run.status).collect::<Vec<_>>(),
            vec![RunStatus::Lost; usize::from(name == END)]
        );
        store.forget_run(&id)?;
    }
    // A run that has a folder and a lock, but has not written what it was asked.
    let (id, recording) = store.new_run();
    let recording = recording?.expect("a local folder");
    assert_eq!(store.runs()?, Runs::default(), "it just begins");
    drop(recording);
    assert!(store.runs()?.passed_over[0].why.contains("killed as it began"));
    fs::remove_file(path(&id, LOCK)).expect("removed");
    let (source, copied) = begin(&store, "a.toml");
    drop(copied);
    fs::copy(path(&source, RUN), path(&id, RUN)).expect("copied");
    assert!(store.run(&id).is_err_and(|complaint| complaint.why.contains(source.as_ref())));
    Ok(())
}
