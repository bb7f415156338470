//! Reads columns of tables, row by row.

use std::{fs::File, path::Path};

use parquet::{
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{ByteArray, ByteArrayType, DataType},
    errors::ParquetError,
    file::{
        metadata::ParquetMetaData,
        reader::{FileReader, SerializedFileReader},
    },
};

use crate::ml::{
    Error, Result,
    data::{Fault, encoded::classes::Written},
};

/// Values that are read at a time.
const BLOCK: usize = 4096;

/// A table, its footer read.
pub(super) fn open(path: &Path) -> Result<SerializedFileReader<File>> {
    let file = File::open(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    guarded(path, || SerializedFileReader::new(file))
}

/// The number of rows of each group of rows.
pub(super) fn groups(path: &Path, metadata: &ParquetMetaData) -> Result<Vec<u32>> {
    let rows = metadata.row_groups().iter().map(|group| u32::try_from(group.num_rows()).ok());
    let groups: Option<Vec<u32>> = rows.collect();
    let total = groups.as_ref().map(|groups| groups.iter().map(|&rows| u64::from(rows)).sum::<u64>());
    // No image takes less than a byte of its file.
    let length = std::fs::metadata(path).map_err(|source| Error::Io { path: path.to_owned(), source })?.len();
    match groups.filter(|_| total.is_some_and(|total| total <= length)) {
        Some(groups) => Ok(groups),
        None => Err(damaged(path, "its metadata names more rows than it can hold").into()),
    }
}

fn damaged(path: &Path, why: impl std::fmt::Display) -> Fault {
    Fault::at(path, format!("no whole Parquet file: {why}"), "download it anew")
}

/// Runs a reader of Parquet, whose panics on damaged files become faults.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(damaged(path, error).into()),
        Err(_) => Err(damaged(path, "its content contradicts itself").into()),
    }
}

/// The labels of a file; none where a row has none or -1.
pub(super) fn labels(path: &Path, leaf: usize, rows: &[u32]) -> Result<Vec<Option<Written>>> {
    let file = open(path)?;
    let most = file.metadata().file_metadata().schema_descr().column(leaf).max_def_level();
    let mut labels = Vec::new();
    for (group, &rows) in rows.iter().enumerate() {
        let column = guarded(path, || file.get_row_group(group)?.get_column_reader(leaf))?;
        let number = |value: i64| match value {
            -1 => Ok(None),
            value => match u32::try_from(value) {
                Ok(value) => Ok(Some(Written::Number(value))),
                Err(_) => Err(Fault::at(path, format!("has the label {value}"), "labels are whole numbers from 0")),
            },
        };
        let before = labels.len();
        match column {
            ColumnReader::Int64ColumnReader(column) => all(path, column, most, rows, |&v| number(v), &mut labels)?,
            ColumnReader::Int32ColumnReader(column) => {
                all(path, column, most, rows, |&v| number(v.into()), &mut labels)?;
            }
            ColumnReader::BoolColumnReader(column) => {
                all(path, column, most, rows, |&v| number(v.into()), &mut labels)?;
            }
            ColumnReader::ByteArrayColumnReader(column) => {
                let name = |value: &ByteArray| match value.as_utf8() {
                    Ok(name) => Ok(Some(Written::Name(name.to_owned()))),
                    Err(_) => Err(Fault::at(path, "has a label that is no text", "labels are numbers or names")),
                };
                all(path, column, most, rows, name, &mut labels)?;
            }
            _ => return Err(damaged(path, "its labels are of no known type").into()),
        }
        if labels.len() - before != rows as usize {
            let found = labels.len() - before;
            return Err(damaged(path, format!("{found} labels for {rows} rows")).into());
        }
    }
    Ok(labels)
}

/// Reads all values of a column of a group of rows.
fn all<T: DataType>(
    path: &Path,
    mut column: ColumnReaderImpl<T>,
    most: i16,
    rows: u32,
    label: impl Fn(&T::T) -> Result<Option<Written>, Fault>,
    labels: &mut Vec<Option<Written>>,
) -> Result<()> {
    let mut left = rows as usize;
    while left > 0 {
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let (read, ..) = guarded(path, || column.read_records(BLOCK.min(left), Some(&mut levels), None, &mut values))?;
        if read == 0 {
            return Ok(());
        }
        let mut values = values.iter();
        for at in 0..read {
            // A level below the highest stands for a missing value.
            let is_there = levels.get(at).is_none_or(|&level| level == most);
            labels.push(match is_there.then(|| values.next()).flatten() {
                Some(value) => label(value)?,
                None => None,
            });
        }
        left -= read.min(left);
    }
    Ok(())
}

/// Reads images of a file, in the order of their rows.
pub(super) struct Cursor {
    file: SerializedFileReader<File>,
    rows: Vec<u32>,
    leaf: usize,
    /// The group that is read, and the next row in it.
    open: Option<(usize, u32, ColumnReaderImpl<ByteArrayType>)>,
}

impl Cursor {
    pub(super) fn new(path: &Path, leaf: usize, rows: &[u32]) -> Result<Self> {
        Ok(Self { file: open(path)?, rows: rows.to_vec(), leaf, open: None })
    }

    /// The bytes at a row, which must not come before the one read last.
    pub(super) fn image(&mut self, path: &Path, mut row: u32) -> Result<Result<Vec<u8>, String>> {
        let mut group = 0;
        while self.rows.get(group).is_some_and(|&rows| row >= rows) {
            row -= self.rows[group];
            group += 1;
        }
        let open = self.open.take().filter(|(of, next, _)| *of == group && *next <= row);
        let (_, next, mut column) = match open {
            Some(open) => open,
            None => match guarded(path, || self.file.get_row_group(group)?.get_column_reader(self.leaf))? {
                ColumnReader::ByteArrayColumnReader(column) => (group, 0, column),
                _ => return Err(damaged(path, "its images are no bytes").into()),
            },
        };
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let skip = (row - next) as usize;
        let (skipped, read) = guarded(path, || {
            let skipped = if skip > 0 { column.skip_records(skip)? } else { 0 };
            let (read, ..) = column.read_records(1, Some(&mut levels), None, &mut values)?;
            Ok((skipped, read))
        })?;
        if skipped != skip || read != 1 {
            return Err(damaged(path, format!("there is no row {row} in group {group}")).into());
        }
        self.open = Some((group, row + 1, column));
        Ok(match values.first() {
            Some(bytes) => Ok(bytes.data().to_vec()),
            None => Err("no bytes in this row; the file refers to images that it does not hold".to_owned()),
        })
    }
}
