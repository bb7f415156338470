//! What reporters may ask of results that are in the cache; the verb that has the cache answers.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::run::Event;

/// The numbers of a finished instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// Its parameters after defaults.
    pub parameters: Value,
    /// Final numbers, by name.
    pub metrics: BTreeMap<String, f64>,
    /// Curves by name: epochs, from 1, and the values there.
    pub series: BTreeMap<String, Vec<(u64, f64)>>,
}

/// An image to be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// What it shows.
    pub name: String,
    /// Columns of pixels.
    pub width: u32,
    /// Rows of pixels.
    pub height: u32,
    /// The PNG file.
    pub png: Vec<u8>,
}

/// Answers about an [`Event::StageFinished`]; nothing for other events and for what is not in the cache.
pub trait Archive {
    /// The numbers of the instance.
    fn past(&self, finished: &Event) -> Option<Past>;

    /// The images among its outputs.
    fn pictures(&self, finished: &Event) -> Vec<Picture>;
}
