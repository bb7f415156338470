//! Tables of Parquet, as Hugging Face keeps datasets: encoded images in one column, labels in another.
//!
//! Read `schema` (which columns they are), then `rows` (how they are read), then this file.

mod rows;
mod schema;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use parquet::file::reader::FileReader;

use super::{
    Encoded, Fetch, Orientation, Pictures,
    classes::{Collected, Known},
    shards::{self, Shards},
};
use crate::ml::{
    Result,
    data::{Collection, Fault, Listed, Part, Remark, Split, shown},
};

use rows::Cursor;
use schema::{Columns, Label};

/// How tables are read.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Whether images have labels.
    pub labelled: bool,
    /// Whether images without labels are read too, from files that are called so.
    pub unlabelled: bool,
    /// The column of the images; by default the only one.
    pub image_column: Option<String>,
    /// The column of the labels; by default the only one.
    pub label_column: Option<String>,
    /// What is done with EXIF orientations.
    pub orientation: Orientation,
}

/// Lists the tables at `path`. Their footers are read.
///
/// # Errors
/// If there is none, one is no whole Parquet file, its columns do not tell which of them hold images and labels, or files
/// have other columns than the first.
pub fn list(path: &Path, manner: Manner) -> Result<Box<dyn Listed>> {
    let mut shards = shards::find(path, "parquet")?;
    if !manner.unlabelled {
        shards.parts.remove(&Split::Unlabelled);
    }
    let mut tables = BTreeMap::new();
    let mut first: Option<(PathBuf, Columns)> = None;
    for (split, files) in &shards.parts {
        let mut listed = Vec::new();
        for file in files {
            let reader = rows::open(file)?;
            let columns = schema::columns(file, reader.metadata(), &manner)?;
            let (other, known) = first.get_or_insert_with(|| (file.clone(), columns.clone()));
            if columns != *known {
                let message = format!("its columns, or the names of its classes, are not those of {}", shown(other));
                return Err(Fault::at(file, message, "put the files of one dataset alone into the folder").into());
            }
            listed.push(Table { path: file.clone(), rows: rows::groups(file, reader.metadata())? });
        }
        tables.insert(*split, listed);
    }
    let Some((_, columns)) = first else {
        return Err(Fault::at(path, "no images to train on", "set `path` to the folder of the .parquet files").into());
    };
    Ok(Box::new(Tables { path: path.to_owned(), shards, tables, columns, manner }))
}

/// A file with the number of rows of each group.
#[derive(Clone, Debug)]
struct Table {
    path: PathBuf,
    rows: Vec<u32>,
}

impl Table {
    fn count(&self) -> u32 {
        self.rows.iter().sum()
    }
}

struct Tables {
    path: PathBuf,
    shards: Shards,
    tables: BTreeMap<Split, Vec<Table>>,
    columns: Columns,
    manner: Manner,
}

impl Listed for Tables {
    fn parts(&self) -> Vec<Part> {
        let part = |(&split, tables): (&Split, &Vec<Table>)| Part {
            split,
            images: Some(tables.iter().map(|table| table.count() as usize).sum()),
            labelled: self.columns.label.is_some() && split != Split::Unlabelled,
        };
        self.tables.iter().map(part).collect()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.shards.files()
    }

    fn left_out(&self) -> usize {
        self.shards.left_out.values().sum()
    }

    fn remarks(&self) -> Vec<Remark> {
        let unlabelled = (self.columns.label.is_none() && self.manner.labelled).then(|| Remark {
            message: "no column of class labels, so the images have no labels".to_owned(),
            help: "name the column of the labels by `label_column`, or write `labels = \"none\"`".to_owned(),
        });
        self.shards.remarks().into_iter().chain(unlabelled).collect()
    }

    fn open(self: Box<Self>) -> Result<Box<dyn Collection>> {
        let Self { path, tables, columns, manner, .. } = *self;
        let mut collected = Collected::default();
        for (split, tables) in &tables {
            for table in tables {
                let labels = match &columns.label {
                    Some(Label { leaf, .. }) => rows::labels(&table.path, *leaf, &table.rows)?,
                    None => vec![None; table.count() as usize],
                };
                for (row, label) in labels.into_iter().enumerate() {
                    let remedy = "a part has labels in all rows or in none (-1 stands for none)";
                    let fault = |why| Fault::at(&table.path, format!("row {row} {why}"), remedy);
                    collected.add(*split, label).map_err(fault)?;
                }
            }
        }
        let known = collected.finish(&path, columns.label.and_then(|label| label.names))?;
        let images = Rows { known, tables, leaf: columns.image };
        Ok(Box::new(Pictures { images, orientation: manner.orientation }))
    }
}

struct Rows {
    known: Known,
    tables: BTreeMap<Split, Vec<Table>>,
    leaf: usize,
}

impl Rows {
    fn tables(&self, split: Split) -> &[Table] {
        self.tables.get(&split).map_or(&[], Vec::as_slice)
    }
}

/// The table that holds an image, by number, and its row.
fn place(tables: &[Table], mut index: u32) -> (usize, u32) {
    for (at, table) in tables.iter().enumerate() {
        if index < table.count() {
            return (at, index);
        }
        index -= table.count();
    }
    unreachable!("an image that no table has was chosen")
}

impl Encoded for Rows {
    fn labels(&self, split: Split) -> &[u32] {
        self.known.labels(split)
    }

    fn classes(&self, split: Split) -> &[String] {
        self.known.classes(split)
    }

    fn name(&self, split: Split, index: u32) -> String {
        let tables = self.tables(split);
        let (table, row) = place(tables, index);
        format!("row {row} of {}", shown(&tables[table].path))
    }

    fn fetch(&self, split: Split) -> Box<dyn Fetch + '_> {
        Box::new(Images { tables: self.tables(split), leaf: self.leaf, open: None })
    }
}

/// Reads images from tables, of which one is open at a time.
struct Images<'a> {
    tables: &'a [Table],
    leaf: usize,
    open: Option<(usize, Cursor)>,
}

impl Fetch for Images<'_> {
    fn fetch(&mut self, indices: &[u32]) -> Result<Vec<Result<Vec<u8>, String>>> {
        let mut images = Vec::with_capacity(indices.len());
        for &index in indices {
            let (at, row) = place(self.tables, index);
            let Table { path, rows } = &self.tables[at];
            let (_, cursor) = match self.open.take().filter(|(of, _)| *of == at) {
                Some(open) => self.open.insert(open),
                None => self.open.insert((at, Cursor::new(path, self.leaf, rows)?)),
            };
            images.push(cursor.image(path, row)?);
        }
        Ok(images)
    }
}

#[cfg(test)]
mod tests;
