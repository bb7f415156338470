//! Blobs in memory, with a clock that tests can move: a proof that the operations are enough, and unit tests without a
//! disk.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use super::{Blobs, Condition, Head, Put};
use crate::store::StoreError;

/// Blobs by their names, gone with the process.
#[derive(Debug)]
pub(crate) struct Memory {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    blobs: BTreeMap<String, (Vec<u8>, SystemTime)>,
    now: SystemTime,
}

impl Default for Memory {
    fn default() -> Self {
        Self { state: Mutex::new(State { blobs: BTreeMap::new(), now: SystemTime::now() }) }
    }
}

impl Memory {
    /// Lets time pass.
    pub(crate) fn wait(&self, time: Duration) {
        self.state().now += time;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics here")
    }
}

impl Blobs for Memory {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state().blobs.get(name).map(|(bytes, _)| bytes.clone()))
    }

    fn put(&self, name: &str, bytes: &[u8], put: Put<'_>) -> Result<bool, StoreError> {
        let mut state = self.state();
        let there = state.blobs.get(name);
        let may = match put {
            Put::Create => there.is_none(),
            Put::Replace => true,
            Put::If(test) => there.is_some_and(|(now, _)| test(now)),
        };
        if may {
            let now = state.now;
            state.blobs.insert(name.to_owned(), (bytes.to_owned(), now));
        }
        Ok(may)
    }

    fn head(&self, name: &str) -> Result<Option<Head>, StoreError> {
        let head = |(bytes, modified): &(Vec<u8>, SystemTime)| Head { bytes: bytes.len() as u64, modified: *modified };
        Ok(self.state().blobs.get(name).map(head))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let prefix = format!("{folder}/");
        Ok(self.state().blobs.keys().filter(|name| name.starts_with(&prefix)).cloned().collect())
    }

    fn delete(&self, name: &str) -> Result<bool, StoreError> {
        Ok(self.state().blobs.remove(name).is_some())
    }

    fn delete_if(&self, name: &str, test: Condition<'_>) -> Result<bool, StoreError> {
        let mut state = self.state();
        let is_it = state.blobs.get(name).is_some_and(|(now, _)| test(now));
        Ok(is_it && state.blobs.remove(name).is_some())
    }

    fn probe(&self) -> Result<SystemTime, StoreError> {
        Ok(self.state().now)
    }

    fn place(&self, name: &str) -> String {
        format!("memory:{name}")
    }
}
