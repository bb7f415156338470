//! Finds the points of a sweep at which a node has instances, and the matching instances of its dependencies, by
//! arithmetic instead of by name.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use crate::pipeline::{AxisBlock, Space};

/// The rows of a block as seen by a node that only some of the block's axes reach.
#[derive(Debug)]
pub(super) struct Projection {
    /// For each distinct row that the node sees, the first row of the block that maps to it.
    pub rows: Vec<u32>,
    /// For each row of the block, the index of the row that the node sees; `NONE` if the node has no instance there.
    pub of: Vec<u32>,
}

/// No row.
const NONE: u32 = u32::MAX;

/// The axes that a node has only some values of, as columns of a block with these values.
type Only = Vec<(usize, BTreeSet<u32>)>;

/// The projections of a space. Each is computed once.
pub(super) struct Projections<'a> {
    space: &'a Space,
    made: BTreeMap<(usize, Vec<usize>, Only), Rc<Projection>>,
}

impl<'a> Projections<'a> {
    pub(super) fn new(space: &'a Space) -> Self {
        Self { space, made: BTreeMap::new() }
    }

    /// Returns one projection for each block.
    pub(super) fn of(&mut self, reach: &BTreeSet<usize>, only: &[(usize, BTreeSet<u32>)]) -> Vec<Rc<Projection>> {
        let blocks = self.space.blocks.iter().enumerate();
        let each = blocks.map(|(at, block)| {
            let columns: Vec<usize> = (0..block.axes.len()).filter(|&c| reach.contains(&block.axes[c])).collect();
            let column = |axis: usize| block.axes.iter().position(|of| *of == axis);
            let only: Only = only.iter().filter_map(|(axis, values)| Some((column(*axis)?, values.clone()))).collect();
            let made = || Rc::new(project(block, &columns, &only));
            self.made.entry((at, columns.clone(), only.clone())).or_insert_with(made).clone()
        });
        each.collect()
    }
}

fn project(block: &AxisBlock, columns: &[usize], only: &Only) -> Projection {
    let meant = |row: &[u32]| only.iter().all(|(column, values)| values.contains(&row[*column]));
    let (mut rows, mut of) = (Vec::new(), Vec::with_capacity(block.len()));
    let mut known: BTreeMap<Vec<u32>, u32> = BTreeMap::new();
    let whole = columns.len() == block.axes.len();
    for at in 0..block.len() {
        let row = block.row(at);
        if !meant(row) {
            of.push(NONE);
            continue;
        }
        let next = rows.len() as u32;
        // Rows of a block are distinct, so a node that all of its axes reach needs no comparison.
        let place = if whole {
            next
        } else {
            *known.entry(columns.iter().map(|&column| row[column]).collect()).or_insert(next)
        };
        if place == next {
            rows.push(at as u32);
        }
        of.push(place);
    }
    Projection { rows, of }
}

/// The positions of a node's instances in the graph.
pub(super) struct Layout {
    /// The index of the first instance.
    pub start: usize,
    /// One projection for each block; the last one varies fastest.
    pub parts: Vec<Rc<Projection>>,
}

impl Layout {
    /// Returns the number of instances; it saturates.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().fold(1, |product, part| product.saturating_mul(part.rows.len()))
    }

    /// Computes the rows of the blocks for the instance at offset `at` from the first.
    pub(super) fn rows(&self, mut at: usize, rows: &mut Vec<u32>) {
        rows.clear();
        rows.resize(self.parts.len(), 0);
        for (row, part) in rows.iter_mut().zip(&self.parts).rev() {
            *row = part.rows[at % part.rows.len()];
            at /= part.rows.len();
        }
    }

    /// Returns the index of the instance at these rows of the blocks.
    pub(super) fn find(&self, rows: &[u32]) -> usize {
        let places = self.parts.iter().zip(rows).map(|(part, &row)| (part.rows.len(), part.of[row as usize]));
        self.start + places.fold(0, |at, (length, place)| at * length + place as usize)
    }
}
