//! Reads pickles of plain values and of arrays of bytes, as Python's CIFAR has them: a machine with a stack, which builds
//! values and runs no code (see CPython's `pickletools`). Byte strings stay in the file; only their places are kept.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
    rc::Rc,
};

use super::super::block::{AGAIN, broken_at, io_at};
use crate::ml::{Result, data::Fault};

/// A value in a pickle.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Int(i64),
    /// A text or bytes: its place in the file, and its content if it is short.
    Bytes(Place, Rc<[u8]>),
    /// Values, and how deep they are nested; the same for tuples and dictionaries.
    List(Vec<Value>, usize),
    Tuple(Rc<[Value]>, usize),
    Dict(Vec<(Value, Value)>, usize),
    /// An array of NumPy.
    Array(Rc<Array>),
    /// A function or class, by its module and name.
    Global(Rc<str>),
    /// The name of a type of numbers.
    Numbers(Rc<[u8]>),
    /// An array whose content comes later.
    Unbuilt,
    Mark,
    /// A value that does not matter here.
    Other,
}

/// Some bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub at: u64,
    pub bytes: u64,
}

/// An array of bytes in the order of C.
#[derive(Clone, Debug)]
pub(super) struct Array {
    pub shape: Vec<u64>,
    pub place: Place,
}

/// The most values of a pickle.
const MOST: usize = 1 << 22;
/// The longest text whose content is kept, in bytes.
const SHORT: u64 = 256;
/// How deep values may be nested; deeper ones do not matter.
const DEPTH: usize = 6;

/// The value in a file.
///
/// # Errors
/// If the file is truncated, is no pickle, or holds values that are not understood.
pub(super) fn read(path: &Path) -> Result<Value> {
    let file = File::open(path).map_err(io_at(path))?;
    let length = file.metadata().map_err(io_at(path))?.len();
    let mut machine =
        Machine { file: BufReader::new(file), at: 0, length, stack: Vec::new(), memo: Vec::new(), values: 0 };
    loop {
        match machine.step() {
            Ok(None) => {}
            Ok(Some(value)) => return Ok(value),
            Err(Stop::Io(error)) => return Err(broken_at(path)(error)),
            Err(Stop::Odd(why)) => return Err(Fault::at(path, format!("no pickle of a dataset: {why}"), AGAIN).into()),
        }
    }
}

/// Why a pickle was not read to its end.
enum Stop {
    Io(io::Error),
    Odd(String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

struct Machine {
    file: BufReader<File>,
    at: u64,
    length: u64,
    stack: Vec<Value>,
    memo: Vec<Value>,
    /// The number of values so far.
    values: usize,
}

impl Machine {
    /// Carries out one instruction; the value if it was the last.
    fn step(&mut self) -> std::result::Result<Option<Value>, Stop> {
        let [code] = self.take()?;
        match code {
            0x80 => drop(self.take::<1>()?),
            0x95 => drop(self.take::<8>()?),
            b'.' => return self.pop().map(Some),
            b'(' => self.push(Value::Mark)?,
            b')' => self.push(Value::Tuple(Rc::new([]), 0))?,
            b']' => self.push(Value::List(Vec::new(), 0))?,
            b'}' => self.push(Value::Dict(Vec::new(), 0))?,
            b'N' | 0x89 => self.push(Value::Other)?,
            0x88 => self.push(Value::Int(1))?,
            b'K' => self.number::<1>()?,
            b'M' => self.number::<2>()?,
            b'J' => {
                let value = i32::from_le_bytes(self.take()?);
                self.push(Value::Int(value.into()))?;
            }
            b'G' => {
                self.take::<8>()?;
                self.push(Value::Other)?;
            }
            0x8a => self.long()?,
            b'U' | b'C' | 0x8c => self.text::<1>()?,
            b'T' | b'X' | b'B' => self.text::<4>()?,
            0x8d | 0x8e | 0x96 => self.text::<8>()?,
            b'q' => {
                let [slot] = self.take()?;
                self.remember(slot.into())?;
            }
            b'r' => {
                let slot = u32::from_le_bytes(self.take()?) as usize;
                self.remember(slot)?;
            }
            0x94 => self.remember(self.memo.len())?,
            b'h' => {
                let [slot] = self.take()?;
                self.recall(slot.into())?;
            }
            b'j' => {
                let slot = u32::from_le_bytes(self.take()?) as usize;
                self.recall(slot)?;
            }
            b'0' => drop(self.pop()?),
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.since_mark()?;
                self.append(items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(vec![key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.set(items)?;
            }
            b't' => {
                let items = self.since_mark()?;
                self.tuple(items)?;
            }
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(code - 0x84)).ok_or_else(empty)?;
                let items = self.stack.split_off(from);
                self.tuple(items)?;
            }
            b'c' => {
                let name = format!("{} {}", self.line()?, self.line()?);
                self.push(Value::Global(name.into()))?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Bytes(_, name), Value::Bytes(_, module)) = (name, module) else { return Err(empty()) };
                let name = format!("{} {}", String::from_utf8_lossy(&module), String::from_utf8_lossy(&name));
                self.push(Value::Global(name.into()))?;
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.push(call(&function, &arguments))?;
            }
            b'b' => {
                let (state, of) = (self.pop()?, self.pop()?);
                self.push(build(of, &state))?;
            }
            _ => return Err(Stop::Odd(format!("byte {} is the instruction {code}, which is not known", self.at - 1))),
        }
        Ok(None)
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn line(&mut self) -> std::result::Result<String, Stop> {
        let mut line = Vec::new();
        loop {
            match self.take()? {
                [b'\n'] => return Ok(String::from_utf8_lossy(&line).into_owned()),
                [byte] if line.len() < SHORT as usize => line.push(byte),
                _ => return Err(Stop::Odd("the name of a function is too long".to_owned())),
            }
        }
    }

    fn push(&mut self, value: Value) -> std::result::Result<(), Stop> {
        self.values += 1;
        if self.values > MOST {
            return Err(Stop::Odd(format!("it has more than {MOST} values")));
        }
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> std::result::Result<Value, Stop> {
        self.stack.pop().ok_or_else(empty)
    }

    fn since_mark(&mut self) -> std::result::Result<Vec<Value>, Stop> {
        let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark)).ok_or_else(empty)?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    /// An unsigned number of `N` bytes.
    fn number<const N: usize>(&mut self) -> std::result::Result<(), Stop> {
        let value = little(&self.take::<N>()?);
        self.push(Value::Int(value as i64))
    }

    /// A signed number of as many bytes as its first byte says.
    fn long(&mut self) -> std::result::Result<(), Stop> {
        let [length] = self.take()?;
        let mut bytes = vec![0; length.into()];
        self.file.read_exact(&mut bytes)?;
        self.at += u64::from(length);
        let negative = bytes.last().is_some_and(|&high| high >= 0x80);
        let value = if bytes.len() < 8 && !negative { Value::Int(little(&bytes) as i64) } else { Value::Other };
        self.push(value)
    }

    /// A text or bytes, after their length in `N` bytes.
    fn text<const N: usize>(&mut self) -> std::result::Result<(), Stop> {
        let bytes = little(&self.take::<N>()?);
        let place = Place { at: self.at, bytes };
        if bytes > self.length - self.at.min(self.length) {
            return Err(Stop::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut short = Vec::new();
        if bytes <= SHORT {
            short = vec![0; bytes as usize];
            self.file.read_exact(&mut short)?;
        } else {
            self.file.seek_relative(bytes as i64)?;
        }
        self.at += bytes;
        self.push(Value::Bytes(place, short.into()))
    }

    /// Keeps the value on top of the stack. A list or dictionary with items is not kept: the copies could grow without
    /// bounds, and no dataset refers to one.
    fn remember(&mut self, slot: usize) -> std::result::Result<(), Stop> {
        if slot > self.memo.len() + SHORT as usize || slot > MOST {
            return Err(Stop::Odd(format!("it remembers a value as number {slot}")));
        }
        let value = match self.stack.last().ok_or_else(empty)? {
            Value::List(items, _) if !items.is_empty() => Value::Other,
            Value::Dict(items, _) if !items.is_empty() => Value::Other,
            value => value.clone(),
        };
        if self.memo.len() <= slot {
            self.memo.resize(slot + 1, Value::Other);
        }
        self.memo[slot] = value;
        Ok(())
    }

    fn recall(&mut self, slot: usize) -> std::result::Result<(), Stop> {
        let value = self.memo.get(slot).cloned();
        self.push(value.ok_or_else(|| Stop::Odd(format!("it recalls the value {slot}, which is not there")))?)
    }

    fn append(&mut self, items: Vec<Value>) -> std::result::Result<(), Stop> {
        match self.stack.last_mut() {
            Some(Value::List(list, depth)) => list.extend(items.into_iter().map(|item| item.within(depth))),
            Some(Value::Other) => {}
            _ => return Err(empty()),
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<Value>) -> std::result::Result<(), Stop> {
        match self.stack.last_mut() {
            Some(Value::Dict(pairs, depth)) => {
                let mut items = items.into_iter().map(|item| item.within(depth));
                while let (Some(key), Some(value)) = (items.next(), items.next()) {
                    pairs.push((key, value));
                }
            }
            Some(Value::Other) => {}
            _ => return Err(empty()),
        }
        Ok(())
    }

    fn tuple(&mut self, items: Vec<Value>) -> std::result::Result<(), Stop> {
        let mut depth = 0;
        let items = items.into_iter().map(|item| item.within(&mut depth)).collect();
        self.push(Value::Tuple(items, depth))
    }
}

fn empty() -> Stop {
    Stop::Odd("an instruction lacks its values".to_owned())
}

fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

impl Value {
    /// The value as an item of another one, whose depth grows with it; values that are nested too deeply do not matter.
    fn within(self, depth: &mut usize) -> Self {
        match self {
            Self::List(_, own) | Self::Tuple(_, own) | Self::Dict(_, own) => {
                if own == DEPTH {
                    return Self::Other;
                }
                *depth = (*depth).max(own + 1);
                self
            }
            value => value,
        }
    }
}

/// What a call gives, as far as it matters here.
fn call(function: &Value, arguments: &Value) -> Value {
    let (Value::Global(name), Value::Tuple(arguments, _)) = (function, arguments) else { return Value::Other };
    match (&**name, &**arguments) {
        (name, _) if name.ends_with("multiarray _reconstruct") => Value::Unbuilt,
        ("numpy dtype", [Value::Bytes(_, numbers), ..]) => Value::Numbers(numbers.clone()),
        (name, [Value::Bytes(place, _), numbers, shape, ..]) if name.ends_with("numeric _frombuffer") => {
            array(shape, numbers, *place)
        }
        _ => Value::Other,
    }
}

/// The value after its state is set.
fn build(of: Value, state: &Value) -> Value {
    match (of, state) {
        (Value::Unbuilt, Value::Tuple(state, _)) => match &**state {
            // The version, the shape, the type, whether columns come first, and the bytes.
            [_, shape, numbers, Value::Other, Value::Bytes(place, _)] => array(shape, numbers, *place),
            _ => Value::Other,
        },
        (of @ Value::Numbers(_), _) => of,
        _ => Value::Other,
    }
}

/// An array of bytes.
fn array(shape: &Value, numbers: &Value, place: Place) -> Value {
    let (Value::Tuple(shape, _), Value::Numbers(numbers)) = (shape, numbers) else { return Value::Other };
    let size = |value: &Value| match value {
        Value::Int(size) => u64::try_from(*size).ok(),
        _ => None,
    };
    let shape: Option<Vec<u64>> = shape.iter().map(size).collect();
    match shape {
        Some(shape) if **numbers == *b"u1" || **numbers == *b"|u1" => Value::Array(Rc::new(Array { shape, place })),
        _ => Value::Other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(bytes: &[u8]) -> Result<Value> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("p");
        std::fs::write(&path, bytes).expect("a file");
        read(&path)
    }

    #[test]
    fn nested_and_repeated_values_stay_small() {
        // A tuple in a tuple in a tuple …, and a tuple of two copies of itself, again and again.
        let deep = [&b"N"[..], &[0x85; 100_000], b"."].concat();
        assert!(matches!(of(&deep), Ok(Value::Tuple(..))));
        let doubled: Vec<u8> = (0..200).flat_map(|_| *b"q\x00h\x00\x86").collect();
        assert!(of(&[&b"N"[..], &doubled, b"."].concat()).is_ok());
    }

    #[test]
    fn a_claim_beyond_the_file_is_a_truncated_file() {
        let text = of(b"\x80\x02T\xff\xff\xff\x7f12.").unwrap_err().to_string();
        assert!(text.contains("p: truncated: the file ends before"), "{text}");
        assert!(of(b"\x80\x02}").unwrap_err().to_string().contains("truncated"));
        assert!(
            of(b"<html>").unwrap_err().to_string().contains("no pickle of a dataset: byte 0 is the instruction 60")
        );
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(of(&bytes));
        }
    }
}
