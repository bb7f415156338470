//! What `torch.save` writes: a zip archive with a pickle, which says what the tensors are, and a file for each storage.
//!
//! candle's reader runs the pickle; it builds data and calls nothing. Tensors are looked for in a state dict, or in the one
//! dictionary of a checkpoint that is called like one.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, thread};

use candle_core::pickle::{Object, Stack};

use super::{
    Number,
    archive::Archive,
    damaged,
    stored::{Place, Stored},
};
use crate::ml::{Result, data::Fault};

/// The longest pickle that is read. That of a ResNet-50 has 50 kB.
const LONGEST: u64 = 8 << 20;
/// The stack for a pickle of no bytes, and for each byte: each could put an object into another, and such nests are
/// cloned and dropped by recursion.
const STACK: [usize; 2] = [4 << 20, 512];
/// The names under which checkpoints hold a state dict.
const STATES: [&str; 4] = ["state_dict", "model", "model_state_dict", "net"];

/// Finds the tensors of an archive.
///
/// # Errors
/// If the pickle cannot be read, or a tensor is not in the archive.
pub(super) fn tensors(archive: &Archive, pickle: &str) -> Result<BTreeMap<String, Stored>> {
    let bytes = archive.read(pickle, LONGEST)?;
    let folder = pickle.trim_end_matches("data.pkl");
    if archive.entries.contains_key(&format!("{folder}byteorder"))
        && archive.read(&format!("{folder}byteorder"), 16)? == b"big"
    {
        let remedy = "write it anew on a little-endian machine";
        return Err(Fault::at(&archive.path, "its numbers are big-endian", remedy).into());
    }
    let find = || -> Result<Vec<(String, Layout)>, String> { layouts(object(&bytes)?) };
    let stack = STACK[0] + STACK[1] * bytes.len();
    // The reader indexes lists that a hostile pickle can make too short, and a panic must not end the program.
    let found = thread::scope(|scope| {
        let caught = move || std::panic::catch_unwind(AssertUnwindSafe(find));
        let reader = thread::Builder::new().stack_size(stack).spawn_scoped(scope, caught);
        reader
            .map_err(|error| error.to_string())?
            .join()
            .and_then(|found| found)
            .unwrap_or_else(|_| Err("damaged".to_owned()))
    });
    let found = found.map_err(|message| damaged(&archive.path, format!("`{pickle}` cannot be read: {message}")))?;
    let mut tensors = BTreeMap::new();
    for (name, layout) in found {
        let file = format!("{folder}data/{}", layout.storage);
        let Some(&place) = archive.entries.get(&file) else {
            return Err(damaged(&archive.path, format!("it has no `{file}`, where `{name}` should be")));
        };
        let stored = layout.stored(place);
        stored.check(&archive.path, &name)?;
        tensors.insert(name, stored);
    }
    Ok(tensors)
}

/// Runs a pickle.
fn object(mut pickle: &[u8]) -> Result<Object, String> {
    let mut stack = Stack::empty();
    loop {
        // candle takes as much memory as a text claims to need, and shifts numbers by as many bytes as they claim to have.
        match *pickle {
            [b'X', a, b, c, d, ref rest @ ..] if u32::from_le_bytes([a, b, c, d]) as usize > rest.len() => {
                return Err("a text goes beyond its end".to_owned());
            }
            [0x8a, bytes, ..] if bytes > 8 => return Err("a number has more than 8 bytes".to_owned()),
            _ => {}
        }
        if stack.read(&mut pickle).map_err(|error| error.to_string())? {
            return stack.finalize().map_err(|error| error.to_string());
        }
    }
}

/// What a pickle says of a tensor.
struct Layout {
    type_name: String,
    storage: String,
    /// The first number, in the storage.
    offset: usize,
    dims: Vec<usize>,
    strides: Vec<usize>,
}

/// Finds the tensors of a state dict, or of the state dict in a checkpoint.
fn layouts(object: Object) -> Result<Vec<(String, Layout)>, String> {
    // `torch.save(model)` keeps the class of the model; what it needs is no data.
    let Object::Dict(entries) = object else {
        return Err("it holds no state dict; write `torch.save(model.state_dict(), FILE)`".to_owned());
    };
    let (mut found, mut states, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for (key, value) in entries {
        let Object::Unicode(key) = key else { continue };
        match value {
            Object::Dict(_) if STATES.contains(&key.as_str()) => states.push(value),
            value => match layout(&value) {
                Some(layout) => found.push((key, layout?)),
                None => others.push(key),
            },
        }
    }
    match (found.is_empty(), states.len()) {
        (false, _) => Ok(found),
        (true, 1) => states.pop().map_or(Ok(Vec::new()), layouts),
        (true, _) => {
            others.truncate(20);
            let held = others.join(", ");
            Err(format!(
                "it holds no state dict, alone or as {}, but {held}; write `torch.save(model.state_dict(), FILE)`",
                STATES.join(", ")
            ))
        }
    }
}

/// What an object says of a tensor. `None` if it is no tensor.
fn layout(object: &Object) -> Option<Result<Layout, String>> {
    let Object::Reduce { callable, args } = object else { return None };
    let (Object::Class { module_name, class_name }, Object::Tuple(args)) = (&**callable, &**args) else { return None };
    match (module_name.as_str(), class_name.as_str()) {
        ("torch._utils", "_rebuild_tensor_v2") => {
            Some(rebuilt(args).ok_or_else(|| "what rebuilds a tensor is damaged".to_owned()))
        }
        ("torch._utils", "_rebuild_parameter") => args.first().and_then(layout),
        // A subclass of tensors: the function that rebuilds it, its type, the arguments of the function.
        ("torch._tensor", "_rebuild_from_type_v2") => match &args[..] {
            [callable, _, args, ..] => {
                layout(&Object::Reduce { callable: Box::new(callable.clone()), args: Box::new(args.clone()) })
            }
            _ => None,
        },
        _ => None,
    }
}

/// The arguments of `torch._utils._rebuild_tensor_v2`: storage, offset, shape, strides.
fn rebuilt(args: &[Object]) -> Option<Layout> {
    let [Object::PersistentLoad(storage), offset, Object::Tuple(dims), Object::Tuple(strides), ..] = args else {
        return None;
    };
    // `("storage", its class, its file, its device, its length)`.
    let Object::Tuple(storage) = &**storage else { return None };
    let [_, Object::Class { class_name, .. }, Object::Unicode(file), ..] = &storage[..] else { return None };
    let whole = |object: &Object| match object {
        Object::Int(number) => usize::try_from(*number).ok(),
        Object::Long(number) => usize::try_from(*number).ok(),
        _ => None,
    };
    let all = |objects: &[Object]| objects.iter().map(whole).collect::<Option<Vec<usize>>>();
    let (dims, strides) = (all(dims)?, all(strides)?);
    let layout = Layout { type_name: class_name.clone(), storage: file.clone(), offset: whole(offset)?, dims, strides };
    (layout.dims.len() == layout.strides.len()).then_some(layout)
}

impl Layout {
    fn stored(self, place: Place) -> Stored {
        let number = match self.type_name.as_str() {
            "BoolStorage" => Some(Number::Bool),
            "ByteStorage" => Some(Number::U8),
            "CharStorage" => Some(Number::I8),
            "ShortStorage" => Some(Number::I16),
            "IntStorage" => Some(Number::I32),
            "LongStorage" => Some(Number::I64),
            "HalfStorage" => Some(Number::F16),
            "BFloat16Storage" => Some(Number::Bf16),
            "FloatStorage" => Some(Number::F32),
            "DoubleStorage" => Some(Number::F64),
            _ => None,
        };
        // PyTorch may leave checksums out (`set_crc32_options`).
        let skip = (self.offset as u64).saturating_mul(number.map_or(1, Number::bytes) as u64);
        // A dimension of one number may have any stride; with that of its neighbours, the order is plain.
        let strides = plain(&self.dims, self.strides);
        let type_name = self.type_name.trim_end_matches("Storage").to_lowercase();
        Stored {
            type_name,
            number,
            big_endian: false,
            dims: self.dims,
            strides,
            place: Place { skip, crc: None, ..place },
        }
    }
}

/// The strides of a tensor whose last index runs fastest, if it is one; the strides themselves otherwise.
fn plain(dims: &[usize], strides: Vec<usize>) -> Vec<usize> {
    let Some(ordered) = super::stored::rows_first(dims) else { return strides };
    let same = dims.iter().zip(&strides).zip(&ordered).all(|((&dim, stride), ordered)| dim <= 1 || stride == ordered);
    if same { ordered } else { strides }
}
