//! Labels that stand beside images, as numbers or as names of classes.

use std::{collections::BTreeMap, path::Path};

use crate::ml::{
    Result,
    data::{Fault, Split, labels},
};

/// The label of an image as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Number(u32),
    Name(String),
}

/// Labels of all parts, and the names of the classes; no names and zeros for images without labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub classes: Vec<String>,
    pub labels: BTreeMap<Split, Vec<u32>>,
    /// The parts whose images have labels.
    pub labelled: Vec<Split>,
}

impl Known {
    /// The names of the classes, for a part with labels.
    pub(super) fn classes(&self, split: Split) -> &[String] {
        if self.labelled.contains(&split) { &self.classes } else { &[] }
    }

    /// The labels of a part.
    pub(super) fn labels(&self, split: Split) -> &[u32] {
        self.labels.get(&split).map_or(&[], Vec::as_slice)
    }
}

/// Collects labels as they are written.
#[derive(Debug, Default)]
pub(super) struct Collected {
    known: Known,
    /// Classes by name, numbered as they came.
    by_name: BTreeMap<String, u32>,
    numbers: bool,
    names: bool,
}

impl Collected {
    /// Adds the label of an image of a part, or none.
    ///
    /// # Errors
    /// If labels are partly numbers and partly names, or if some images of the part have none; in a fragment.
    pub(super) fn add(&mut self, split: Split, label: Option<Written>) -> Result<(), &'static str> {
        let is_labelled = label.is_some();
        let number = match label {
            None => 0,
            Some(Written::Number(number)) => {
                self.numbers = true;
                number
            }
            Some(Written::Name(name)) => {
                self.names = true;
                let next = self.by_name.len() as u32;
                *self.by_name.entry(name).or_insert(next)
            }
        };
        let labels = self.known.labels.entry(split).or_default();
        if labels.is_empty() && is_labelled {
            self.known.labelled.push(split);
        }
        labels.push(number);
        match (self.known.labelled.contains(&split), is_labelled) {
            _ if self.numbers && self.names => Err("has a name as its label, and others have numbers, or the reverse"),
            (true, false) => Err("has no label, and others have one"),
            (false, true) => Err("has a label, and others have none"),
            _ => Ok(()),
        }
    }

    /// The labels, with classes in the order of their names or numbers. `names` are those of the numbers, if they have any.
    ///
    /// # Errors
    /// If a number has no name, or is so large that it cannot be the number of a class. `at` is named in the message.
    pub(super) fn finish(self, at: &Path, names: Option<Vec<String>>) -> Result<Known> {
        let Self { mut known, by_name, numbers, .. } = self;
        let labelled = known.labelled.clone();
        let written = || labelled.iter().flat_map(|split| &known.labels[split]);
        if numbers {
            known.classes = match names {
                Some(names) => {
                    if let Some(label) = written().find(|&&label| label as usize >= names.len()) {
                        let message = format!("has the label {label}, and {} classes are named", names.len());
                        return Err(Fault::at(at, message, "check that all files are of one dataset").into());
                    }
                    names
                }
                None => labels::numbered(at, written())?,
            };
        } else {
            let mut order = vec![0; by_name.len()];
            by_name.values().enumerate().for_each(|(sorted, &came)| order[came as usize] = sorted as u32);
            for split in &labelled {
                let labels = known.labels.get_mut(split).into_iter().flatten();
                labels.for_each(|label| *label = order[*label as usize]);
            }
            known.classes = by_name.into_keys().collect();
        }
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_numbers_kept() {
        let mut names = Collected::default();
        for (split, name) in [(Split::Train, "dog"), (Split::Train, "cat"), (Split::Test, "dog")] {
            names.add(split, Some(Written::Name(name.to_owned()))).unwrap();
        }
        names.add(Split::Unlabelled, None).unwrap();
        let known = names.finish(Path::new("x"), None).unwrap();
        assert_eq!(known.classes, ["cat", "dog"]);
        assert_eq!((known.labels(Split::Train), known.labels(Split::Test)), (&[1, 0][..], &[1][..]));
        assert_eq!((known.labels(Split::Unlabelled), known.classes(Split::Unlabelled).len()), (&[0][..], 0));

        let mut numbers = Collected::default();
        numbers.add(Split::Train, Some(Written::Number(2))).unwrap();
        assert_eq!(numbers.add(Split::Train, None), Err("has no label, and others have one"));
        let mixed = numbers.add(Split::Train, Some(Written::Name("a".to_owned())));
        assert_eq!(mixed, Err("has a name as its label, and others have numbers, or the reverse"));
        let names = || Some(vec!["a".to_owned(), "b".to_owned()]);
        let mut numbers = Collected::default();
        numbers.add(Split::Train, Some(Written::Number(2))).unwrap();
        let error = numbers.finish(Path::new("x"), names()).unwrap_err().to_string();
        assert!(error.contains("x: has the label 2, and 2 classes are named"), "{error}");
        let mut numbers = Collected::default();
        numbers.add(Split::Train, Some(Written::Number(u32::MAX))).unwrap();
        assert!(numbers.finish(Path::new("x"), None).is_err(), "no memory is asked for by a label");
    }
}
