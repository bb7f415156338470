//! Which points of a sweep a node has, and where it finds those of the nodes it stands on, without any names.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use crate::pipeline::{AxisBlock, Space};

/// The rows of a block as a node sees them that only some of the block's axes reach.
#[derive(Debug)]
pub(super) struct Projection {
    /// For each row that the node tells apart, the first of the block's rows that gives it.
    pub rows: Vec<u32>,
    /// For each of the block's rows, which of them it is; `NONE` where the node is not.
    pub of: Vec<u32>,
}

/// No row.
const NONE: u32 = u32::MAX;

/// The axes that are left out, or of which only some values are meant, as columns of a block.
type Only = Vec<(usize, BTreeSet<u32>)>;

/// The projections of a space, each made once.
pub(super) struct Projections<'a> {
    space: &'a Space,
    made: BTreeMap<(usize, Vec<usize>, Only), Rc<Projection>>,
}

impl<'a> Projections<'a> {
    pub(super) fn new(space: &'a Space) -> Self {
        Self { space, made: BTreeMap::new() }
    }

    /// One for each block.
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
        // Rows of a block differ, so those that are seen whole need no comparison.
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

/// Where the instances of a node lie.
pub(super) struct Layout {
    /// The index of the first.
    pub start: usize,
    /// One for each block; the last varies fastest.
    pub parts: Vec<Rc<Projection>>,
}

impl Layout {
    /// How many instances there are; saturating.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().fold(1, |product, part| product.saturating_mul(part.rows.len()))
    }

    /// The rows of the blocks at the instance that lies `at` behind the first.
    pub(super) fn rows(&self, mut at: usize, rows: &mut Vec<u32>) {
        rows.clear();
        rows.resize(self.parts.len(), 0);
        for (row, part) in rows.iter_mut().zip(&self.parts).rev() {
            *row = part.rows[at % part.rows.len()];
            at /= part.rows.len();
        }
    }

    /// The instance at some rows of the blocks.
    pub(super) fn find(&self, rows: &[u32]) -> usize {
        let places = self.parts.iter().zip(rows).map(|(part, &row)| (part.rows.len(), part.of[row as usize]));
        self.start + places.fold(0, |at, (length, place)| at * length + place as usize)
    }
}
