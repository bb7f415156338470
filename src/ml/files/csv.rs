//! Columns of CSV files, as text. A file called `.tsv` is separated by tabs.

use std::{fs, io::Cursor, path::Path};

use super::{damaged, io_at};
use crate::ml::{
    Result,
    data::{Fault, names},
};

/// Whether a file is read as CSV: by its ending.
#[must_use]
pub fn is_one(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv") || ending.eq_ignore_ascii_case("tsv"))
}

/// A CSV file, read up to its line of names.
pub struct Table {
    reader: csv::Reader<Cursor<Vec<u8>>>,
    names: Vec<String>,
    path: std::path::PathBuf,
}

impl Table {
    /// Opens a file and reads the names of its columns, which are in its first line.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(io_at(path))?;
        let tabs = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("tsv"));
        let mut builder = csv::ReaderBuilder::new();
        let mut reader = builder.delimiter(if tabs { b'\t' } else { b',' }).from_reader(Cursor::new(bytes));
        let names = reader.headers().map_err(|error| damaged(path, format!("no CSV file: {error}")))?;
        // A mark of the order of bytes is no part of the first name.
        let names: Vec<_> = names.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect();
        if names.is_empty() {
            return Err(
                Fault::at(path, "it is empty".to_owned(), "write the names of its columns in its first line").into()
            );
        }
        Ok(Self { reader, names, path: path.to_owned() })
    }

    /// The names of its columns.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The place of a column.
    ///
    /// # Errors
    /// If there is no column of that name, or there are two.
    pub fn place(&self, name: &str) -> Result<usize> {
        let mut places = (0..self.names.len()).filter(|&at| self.names[at] == name);
        let fault = |message: String, remedy: &str| Fault::at(&self.path, message, remedy);
        let place = places.next().ok_or_else(|| {
            let listed: Vec<String> = self.names.iter().map(|name| format!("`{name}`")).collect();
            fault(format!("there is no column `{name}`; there are {}", names(&listed)), "name one of those")
        })?;
        if places.next().is_some() {
            return Err(fault(format!("there are two columns `{name}`"), "rename one of them").into());
        }
        Ok(place)
    }

    /// Reads some of its columns, by place: the text of each row, and the line that it is in.
    ///
    /// # Errors
    /// If a row has another number of fields than the first line, or is not UTF-8, or a line is blank: rows are counted, and
    /// a row that is left out shifts those after it.
    pub fn columns(mut self, places: &[usize]) -> Result<Vec<Vec<(u64, String)>>> {
        let mut columns = vec![Vec::new(); places.len()];
        let mut row = csv::StringRecord::new();
        loop {
            let before = self.reader.position().clone();
            let there_is_one = self
                .reader
                .read_record(&mut row)
                .map_err(|error| damaged(&self.path, format!("no CSV file: {error}")))?;
            if !there_is_one {
                break;
            }
            if is_blank(self.reader.get_ref().get_ref(), before.byte()) {
                let message = format!("line {} is blank", before.line());
                return Err(Fault::at(&self.path, message, "delete the line, or write its row").into());
            }
            let line = before.line();
            for (column, &place) in columns.iter_mut().zip(places) {
                column.push((line, row.get(place).unwrap_or_default().trim().to_owned()));
            }
        }
        Ok(columns)
    }
}

/// Whether the line that begins at this byte is blank. The line feed of a line that ends with CR LF may be the first byte.
fn is_blank(bytes: &[u8], at: u64) -> bool {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let after_return = at > 0 && bytes.get(at - 1) == Some(&b'\r') && bytes.get(at) == Some(&b'\n');
    matches!(bytes.get(at + usize::from(after_return)), Some(b'\n' | b'\r'))
}
