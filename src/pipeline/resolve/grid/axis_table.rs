//! The axes of a sweep while its points are put together: each axis once, and each of its values once.

use std::collections::BTreeMap;

use toml::{Spanned, de::DeValue};

use crate::pipeline::{document, resolved::Axis, worth::worth, written::Value};

/// How the value that a stage has itself is shown, where an axis leaves a parameter as it is.
const OWN: &str = "own";

/// The worth of a value: equal for two notations of one value.
pub(crate) fn worth_of(value: &Value<'_>) -> String {
    worth(&document::to_json(value.get_ref()))
}

/// The axes so far.
#[derive(Default)]
pub(super) struct AxisTable<'t> {
    /// The axes, each with its values so far.
    pub axes: Vec<Axis<'t>>,
    known: Vec<BTreeMap<String, u32>>,
}

impl<'t> AxisTable<'t> {
    /// The index of the axis with a key.
    pub(super) fn find(&self, key: &str) -> Option<usize> {
        self.axes.iter().position(|axis| axis.name() == key)
    }

    /// The index of an axis, which is added without values if it is not there.
    pub(super) fn axis(&mut self, axis: &Axis<'t>) -> usize {
        self.find(axis.name()).unwrap_or_else(|| {
            self.axes.push(axis.keyed());
            self.known.push(BTreeMap::new());
            self.axes.len() - 1
        })
    }

    /// The index of a value among those of its axis; values of equal worth are one.
    pub(super) fn value(&mut self, index: usize, value: &Value<'t>) -> u32 {
        let values = &mut self.axes[index].values;
        *self.known[index].entry(worth_of(value)).or_insert_with(|| {
            values.push(value.clone());
            (values.len() - 1) as u32
        })
    }

    /// The indices of all values of an axis.
    pub(super) fn values(&mut self, axis: &Axis<'t>) -> Vec<u32> {
        let index = self.axis(axis);
        axis.values.iter().map(|value| self.value(index, value)).collect()
    }

    /// The index of the value that stands for that of the stage itself, where it differs from point to point.
    pub(super) fn own(&mut self, index: usize) -> u32 {
        let axis = &mut self.axes[index];
        if axis.own.is_none() {
            axis.own = Some(axis.values.len() as u32);
            axis.values.push(Spanned::new(axis.key.span(), DeValue::String(OWN.into())));
        }
        axis.own.unwrap_or_default()
    }
}
