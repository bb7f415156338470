//! Files of tensors as NumPy, PyTorch and safetensors write them (`tests/reference/tensor_files.py`), whole and damaged.

use std::{collections::BTreeMap, fs, io::Write, path::PathBuf};

use candle_core::DType;
use strata::ml::files::TensorFile;

/// Type, shape and numbers.
type Expected = (String, Vec<usize>, Vec<f64>);

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/tensor_files"))
}

fn expected() -> BTreeMap<String, BTreeMap<String, Expected>> {
    let text = fs::read_to_string(folder().join("expected.json")).expect("the expected numbers");
    serde_json::from_str(&text).expect("JSON")
}

/// The type of the tensor that numbers of a type of NumPy become.
fn dtype(name: &str) -> DType {
    match name {
        "bool" | "uint8" => DType::U8,
        "int8" | "int16" => DType::I16,
        "uint16" | "uint32" => DType::U32,
        "int32" => DType::I32,
        "int64" | "uint64" => DType::I64,
        "float16" => DType::F16,
        "bfloat16" => DType::BF16,
        "float32" => DType::F32,
        "float64" => DType::F64,
        other => panic!("no type {other}"),
    }
}

#[test]
fn every_layout_is_read_as_it_was_written() {
    for (file, tensors) in expected() {
        let read = TensorFile::open(&folder().join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let names: Vec<&str> = read.tensors().map(|(name, _)| name).collect();
        assert_eq!(names, tensors.keys().collect::<Vec<_>>(), "{file}");
        for (name, (kind, dims, numbers)) in &tensors {
            let tensor = read.read(name).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert_eq!((tensor.dtype(), tensor.dims()), (dtype(kind), dims.as_slice()), "{file}: {name}");
            let got = tensor.to_dtype(DType::F64).and_then(|all| all.flatten_all()?.to_vec1::<f64>()).expect("numbers");
            assert_eq!(&got, numbers, "{file}: {name}");
        }
    }
}

#[test]
fn what_cannot_be_read_says_what_to_do() {
    let message = |name: &str| TensorFile::open(&folder().join(name)).expect_err("it cannot be read").to_string();
    assert!(message("old.pth").contains("PyTorch before 1.6; write it anew: `torch.save("), "{}", message("old.pth"));
    assert!(message("model.pth").contains("torch.save(model.state_dict(), FILE)"), "{}", message("model.pth"));
    assert!(message("expected.json").contains("not a file of tensors"), "{}", message("expected.json"));
    assert!(message("none.npz").contains("none.npz: is not there"), "{}", message("none.npz"));
    assert!(message("").contains("a folder; set `path` to a file"), "{}", message(""));
    let file = TensorFile::open(&folder().join("rows.npy")).expect("a file");
    let missing = file.read("x").expect_err("no such tensor").to_string();
    assert!(missing.contains("there is no tensor `x`; it holds `array` <f4 [3, 4]"), "{missing}");
}

/// Reads all of a file. Whatever is in it, that ends, and never in a panic.
fn read_all(path: &std::path::Path) -> Result<usize, String> {
    let file = TensorFile::open(path).map_err(|error| error.to_string())?;
    let names: Vec<String> = file.tensors().map(|(name, _)| name.to_owned()).collect();
    for name in &names {
        file.read(name).map_err(|error| error.to_string())?;
    }
    Ok(names.len())
}

#[test]
fn a_truncated_file_is_an_error_that_names_it() {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    for name in ["columns.npy", "packed.npz", "plain.pth", "plain.safetensors"] {
        let bytes = fs::read(folder().join(name)).expect("a file");
        let path = scratch.path().join(name);
        for end in (0..bytes.len()).step_by((bytes.len() / 97).max(1)) {
            fs::write(&path, &bytes[..end]).expect("written");
            let error = read_all(&path).expect_err("it is cut");
            assert!(error.contains(name), "{name} cut at {end}: {error}");
        }
    }
}

#[test]
fn changed_bytes_are_never_a_panic() {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    for name in ["rows.npy", "packed.npz", "plain.pth", "checkpoint.pth", "plain.safetensors"] {
        let bytes = fs::read(folder().join(name)).expect("a file");
        let path = scratch.path().join(name);
        let step = (bytes.len() / 400).max(1);
        for at in (0..bytes.len()).step_by(step) {
            for value in [0, 0x7f, 0xff] {
                let mut changed = bytes.clone();
                changed[at] = value;
                fs::write(&path, &changed).expect("written");
                // Numbers may differ; whatever is refused is refused with the name of the file.
                if let Err(error) = read_all(&path) {
                    assert!(error.contains(name), "{name} with {value} at {at}: {error}");
                }
            }
        }
    }
}

/// Sizes that a file claims and cannot have take no memory.
#[test]
fn false_sizes_are_refused() {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let check = |name: &str, bytes: &[u8]| {
        let path = scratch.path().join(name);
        fs::write(&path, bytes).expect("written");
        read_all(&path).expect_err("a false size")
    };
    for shape in ["(1099511627776, 1099511627776)", "(9223372036854775807,)", "(4,)", "(-1,)", "(1e3,)", "((1,),)"] {
        let header = format!("{{'descr': '<f4', 'fortran_order': True, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(u16::try_from(header.len()).expect("short").to_le_bytes());
        bytes.extend(header.bytes().chain([0; 8]));
        check("shape.npy", &bytes);
    }
    check("header.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff{");
    for header in [
        r#"{"a":{"dtype":"F32","shape":[1099511627776,1099511627776],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9223372036854775807]}}"#,
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#,
        r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#,
        r#"{"a":7}"#,
    ] {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.bytes().chain([0; 8]));
        check("sizes.safetensors", &bytes);
    }
    check("length.safetensors", b"\xff\xff\xff\xff\xff\xff\xff\x7f{}");
}

/// Pickles that would take all memory, or the stack of the thread that reads them.
#[test]
fn a_hostile_pickle_is_an_error() {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let path = scratch.path().join("hostile.pth");
    let check = |pickle: &[u8]| {
        let mut zip = zip::ZipWriter::new(fs::File::create(&path).expect("a file"));
        let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::STORE);
        zip.start_file("x/data.pkl", stored).expect("an entry");
        zip.write_all(pickle).expect("written");
        zip.finish().expect("an archive");
        read_all(&path).expect_err("no tensors")
    };
    let nest = [b"\x80\x02)".as_slice(), &[0x85; 1_000_000], b"."].concat();
    assert!(check(&nest).contains("it holds no state dict"), "{}", check(&nest));
    assert!(check(b"\x80\x02X\xff\xff\xff\xffa.").contains("a text goes beyond its end"));
    assert!(check(&[b"\x80\x02\x8a\xff".as_slice(), &[1; 255], b"."].concat()).contains("more than 8 bytes"));
    // `{"w": torch._utils._rebuild_tensor_v2()}`, without the arguments.
    let short = b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n)Rs.";
    assert!(check(short).contains("what rebuilds a tensor is damaged"), "{}", check(short));
    assert!(check(b"\x80\x02").contains("hostile.pth: `x/data.pkl` cannot be read"));
    assert!(check(b"").contains("hostile.pth: "));
}
