//! `--tensorboard`, `--mlflow` and W&B: what other programs are told is what the cache holds.
//!
//! Three of the tests ask the real programs: `pip install tensorboard mlflow pillow wandb`, then
//! `STRATA_PYTHON=venv/bin/python cargo test --test it trackers`. Without them they are skipped.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use strata::store::{Manifest, Store};

use crate::support::{Project, python_with, text};

/// A training with images, and a stage without curves; two instances of each but the first.
const PIPELINE: &str = r#"
[pipeline]
name = "tracked"

[stage.images]
kind = "dataset"
size = 8
train = 48
test = 16

[stage.noise]
kind = "noise"
inputs = { images = "images.train" }

[stage.dae]
kind = "dae"
inputs = { clean = "images.train", noisy = "noise.images" }
channels = [4, 4]
epochs = 2
batch_size = 16

[stage.latent]
kind = "encode"
inputs = { weights = "dae.weights", images = "images.train" }

[stage.clusters]
kind = "kmeans"
inputs = { features = "latent.features" }
clusters = 4
runs = 1

[sweep]
"dae.seed" = [0, 1]
"#;

const RUN: [&str; 3] = ["run", "pipelines/p.toml", "-q"];
const INSTANCES: usize = 8;

/// The manifests of a project by instance.
fn manifests(project: &Project) -> BTreeMap<String, Manifest> {
    let found = Store::open(project.path("cache")).manifests().expect("the cache can be read");
    let named = |(_, manifest): (_, Manifest)| {
        let name = manifest.provenance.instance.split_once('/').expect("PIPELINE/INSTANCE").1.to_owned();
        (name, manifest)
    };
    found.into_iter().map(named).collect()
}

/// The data of the records in each event file, by its folder: `INSTANCE/KEY`. The checksums are looked at.
fn records(board: &Path) -> BTreeMap<(String, String), Vec<Vec<u8>>> {
    let crc = |bytes: &[u8]| {
        let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        !bytes.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
    };
    assert_eq!(crc(b"123456789"), 0xe306_9283, "the check value of CRC-32C");
    let masked = |bytes: &[u8]| (crc(bytes) >> 15 | crc(bytes) << 17).wrapping_add(0xa282_ead8).to_le_bytes();
    let below = |folder: &Path| {
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().expect("text")).collect();
        names.sort();
        names
    };
    let mut found = BTreeMap::new();
    for instance in below(board) {
        for work in below(&board.join(&instance)) {
            let folder = board.join(&instance).join(&work);
            let records: &mut Vec<Vec<u8>> = found.entry((instance.clone(), work)).or_default();
            for file in below(&folder).iter().filter(|name| *name != ".complete") {
                assert!(file.starts_with("events.out.tfevents."), "{file}");
                let bytes = fs::read(folder.join(file)).expect("a file");
                let mut rest = bytes.as_slice();
                while !rest.is_empty() {
                    let (length, data) = rest.split_at(8);
                    assert_eq!(data[..4], masked(length));
                    let count = u64::from_le_bytes(length.try_into().expect("8 bytes")) as usize;
                    let (data, end) = data[4..].split_at(count);
                    assert_eq!(end[..4], masked(data));
                    records.push(data.to_vec());
                    rest = &end[4..];
                }
            }
        }
    }
    found
}

#[test]
fn event_files_have_all_instances_and_are_not_written_twice() {
    let project = Project::with(PIPELINE);
    let run = |project: &Project| project.done(&[&RUN[..], &["--tensorboard", "board"]].concat());
    run(&project);
    let manifests = manifests(&project);
    let first = records(&project.path("board"));
    assert_eq!(first.len(), INSTANCES);
    assert_eq!(first.keys().map(|(instance, _)| instance).collect::<Vec<_>>(), manifests.keys().collect::<Vec<_>>());
    for (instance, manifest) in &manifests {
        let records = &first[&(instance.clone(), manifest.recipe.key().short())];
        assert!(records[0].windows(13).any(|part| part == b"brain.Event:2"), "{instance}");
        // The version, the parameters, and all numbers and images.
        let images = usize::from(manifest.recipe.kind == "dae");
        let points: usize = manifest.series.values().map(Vec::len).sum();
        assert_eq!(records.len(), 2 + points + manifest.metrics.len() + images, "{instance}");
    }
    run(&project);
    assert_eq!(records(&project.path("board")), first, "what is cached and there is left alone");
    fs::remove_dir_all(project.path("board")).expect("a folder");
    run(&project);
    let counts = |of: &BTreeMap<(String, String), Vec<Vec<u8>>>| of.values().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(counts(&records(&project.path("board"))), counts(&first), "what is cached is written whole");
}

#[test]
fn other_parameters_are_another_curve_and_work_that_goes_on_is_the_same() {
    let project = Project::with(PIPELINE);
    let run = |more: &[&str]| project.done(&[&RUN[..], &["--tensorboard", "board"], more].concat());
    let folders = || records(&project.path("board")).into_keys().collect::<Vec<_>>();
    let of = |folders: &[(String, String)], instance: &str| folders.iter().filter(|(name, _)| name == instance).count();
    run(&[]);
    run(&["-S", "dae.batch_size=8"]);
    let both = folders();
    assert_eq!((of(&both, "dae@dae.seed=0"), of(&both, "images"), both.len()), (2, 1, INSTANCES + 6), "{both:?}");
    // What comes in differs too, although no parameter of the stage does.
    assert_eq!(of(&both, "clusters@dae.seed=1"), 2, "{both:?}");

    // The same work again, which tells all points again.
    project.done(&[
        "run",
        "pipelines/p.toml",
        "dae@dae.seed=0",
        "-S",
        "dae.batch_size=8",
        "--tensorboard",
        "board",
        "--force",
    ]);
    assert_eq!(folders(), both, "no folder is added");
    // A record of the start of a session (field 7 of an event, of two bytes) lets readers forget what came before.
    let is_start = |record: &&Vec<u8>| record.ends_with(&[0x3a, 2, 8, 1]);
    let starts = |(_, records): (_, Vec<Vec<u8>>)| records.iter().filter(is_start).count();
    let again = records(&project.path("board")).into_iter().filter(|((name, _), _)| name == "dae@dae.seed=0");
    assert_eq!(again.map(starts).sum::<usize>(), 1, "in one of its two folders");
}

#[test]
fn a_folder_that_cannot_be_written_hurts_nothing() {
    let project = Project::with(PIPELINE);
    project.write("board", "a file is in the way");
    let ran = project.done(&[&RUN[..], &["--tensorboard", "board"]].concat());
    assert_eq!(ran.err.matches("warning: no more is written for TensorBoard to board").count(), 1, "{}", ran.err);
}

#[test]
fn an_mlflow_server_that_is_not_there_hurts_nothing() {
    let project = Project::with(PIPELINE);
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let url = format!("http://127.0.0.1:{port}");
    let ran = project.done(&[&RUN[..], &["--mlflow", &url]].concat());
    let warning = format!("warning: nothing more is logged to MLflow at {url}: ");
    assert_eq!((ran.err.matches(&warning).count(), ran.err.lines().count()), (1, 1), "{}", ran.err);
    assert_eq!(manifests(&project).len(), INSTANCES);
}

/// Answers as a server of MLflow does; what it was asked.
fn toy_server() -> (String, mpsc::Receiver<(String, Value)>) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", socket.local_addr().expect("an address"));
    let (tell, asked) = mpsc::channel();
    thread::spawn(move || {
        let mut runs = 0;
        for stream in socket.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            while let Some((path, body)) = request(&mut stream) {
                let answer = match path.rsplit('/').next() {
                    Some("create") if path.contains("experiments") => json!({"experiment_id": "7"}),
                    Some("create") => {
                        runs += 1;
                        json!({"run": {"info": {"run_id": format!("r{runs}")}}})
                    }
                    _ => json!({}),
                };
                if tell.send((path, body)).is_err() {
                    return;
                }
                respond(stream.get_mut(), &answer.to_string());
            }
        }
    });
    (url, asked)
}

fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, Value)> {
    let mut lines = stream.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let length = lines.filter_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.last().unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some((path, serde_json::from_slice(&body).unwrap_or_default()))
}

fn respond(stream: &mut TcpStream, body: &str) {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).expect("the other side listens");
}

#[test]
fn mlflow_hears_of_what_runs_and_of_nothing_cached() {
    let project = Project::with(PIPELINE);
    let (url, asked) = toy_server();
    let run = |more: &[&str]| {
        let ran = project.done(&[&RUN[..], &["--mlflow", &url], more].concat());
        assert_eq!(ran.err, "");
        asked.try_iter().collect::<Vec<(String, Value)>>()
    };
    let requests = run(&[]);
    let of = |method: &str| {
        let path = format!("/api/2.0/mlflow/{method}");
        requests.iter().filter(move |(asked, _)| *asked == path).map(|(_, body)| body).collect::<Vec<_>>()
    };
    assert_eq!(of("experiments/create"), [&json!({"name": "tracked"})]);
    let names: BTreeSet<String> = of("runs/create").iter().map(|body| text(&body["run_name"])).collect();
    let manifests = manifests(&project);
    assert!(names.iter().eq(manifests.keys()), "{names:?}");
    assert!(of("runs/update").iter().all(|body| body["status"] == "FINISHED") && of("runs/update").len() == INSTANCES);
    let sent: usize = of("runs/log-batch").iter().filter_map(|body| Some(body["metrics"].as_array()?.len())).sum();
    let held = |m: &Manifest| m.metrics.len() + m.series.values().map(Vec::len).sum::<usize>();
    assert_eq!(sent, manifests.values().map(held).sum::<usize>());

    let requests = run(&[]);
    assert!(requests.iter().all(|(path, _)| path.ends_with("experiments/create")), "{requests:?}");
}

/// The answer of one of the programs beside this file.
fn python(python: &str, program: &str, arguments: &[&str]) -> Value {
    let output = Command::new(python).arg("-c").arg(program).args(arguments).output().expect("Python can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the program prints JSON")
}

/// Compares `[step, value]` of all tags of all instances, and the final numbers with those of `strata table`.
fn compare(project: &Project, found: &Value, final_tag: impl Fn(&Manifest, &str) -> String, precision: f64) {
    let manifests = manifests(project);
    assert_eq!(found.as_object().expect("an object").len(), manifests.len());
    let mut compared = 0;
    let mut same = |instance: &str, tag: &str, expected: &[(Option<u64>, f64)]| {
        let points = found[instance][tag].as_array().unwrap_or_else(|| panic!("{instance}: no {tag}"));
        assert_eq!(points.len(), expected.len(), "{instance}: {tag}");
        for (point, (step, value)) in points.iter().zip(expected) {
            let got = point[1].as_f64().expect("a number");
            assert!((got - value).abs() <= precision * value.abs(), "{instance}: {tag}: {got}, not {value}");
            assert!(step.is_none_or(|step| point[0] == step), "{instance}: {tag}: {point}");
            compared += 1;
        }
    };
    for (instance, manifest) in &manifests {
        for (name, points) in &manifest.series {
            let points: Vec<_> = points.iter().map(|&(epoch, value)| (Some(epoch), value)).collect();
            same(instance, name, &points);
        }
    }
    let table = project.json(&["table", "pipelines/p.toml"]);
    for row in table["rows"].as_array().expect("rows") {
        let instance = text(&row["instance"]);
        for (name, value) in row["metrics"].as_object().expect("metrics") {
            let tag = final_tag(&manifests[&instance], name);
            same(&instance, &tag, &[(None, value.as_f64().expect("a number"))]);
        }
    }
    assert!(compared > 20, "{compared} figures were compared");
}

const READ_TENSORBOARD: &str = r#"
import io, json, pathlib, sys
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
found, images, texts = {}, {}, {}
for folder in pathlib.Path(sys.argv[1]).glob("*/*"):
    events = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0, "tensors": 0}).Reload()
    tags = events.Tags()
    found[folder.parent.name] = {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in tags["scalars"]}
    for tag in tags["images"]:
        image = events.Images(tag)[0]
        assert Image.open(io.BytesIO(image.encoded_image_string)).size == (image.width, image.height)
        images[folder.parent.name + " " + tag] = [image.width, image.height]
    texts[folder.parent.name] = events.Tensors("parameters")[0].tensor_proto.string_val[0].decode()
print(json.dumps({"found": found, "images": images, "texts": texts}))
"#;

#[test]
fn tensorboard_reads_what_the_cache_holds() {
    let Some(program) = python_with("tensorboard, PIL") else { return };
    let project = Project::with(PIPELINE);
    project.done(&[&RUN[..], &["--tensorboard", "board"]].concat());
    // Again in the same folders: no point is there twice.
    project.done(&[&RUN[..], &["--tensorboard", "board", "--force"]].concat());
    let read = python(&program, READ_TENSORBOARD, &[&project.path("board").to_string_lossy()]);
    compare(&project, &read["found"], |_, name| format!("final/{name}"), 1e-6);
    // 16 images of 8x8 pixels in three columns.
    let images = json!({"dae@dae.seed=0 reconstructions": [24, 128], "dae@dae.seed=1 reconstructions": [24, 128]});
    assert_eq!(read["images"], images);
    assert!(text(&read["texts"]["dae@dae.seed=1"]).contains("\"batch_size\": 16"), "{}", read["texts"]);
    // What a stage depends on is told too, whether it ran or was cached.
    project.done(&[&RUN[..], &["--tensorboard", "again"]].concat());
    for board in ["board", "again"] {
        let read = python(&program, READ_TENSORBOARD, &[&project.path(board).to_string_lossy()]);
        let about = text(&read["texts"]["clusters@dae.seed=1"]);
        let (_, json) = about.split_once("```json\n").expect("a block");
        let about: Value = serde_json::from_str(json.trim_end_matches("\n```")).expect("JSON");
        assert_eq!(
            (&about["parameters"]["clusters"], &about["upstream"]["dae"]["seed"]),
            (&json!(4), &json!(1)),
            "{board}"
        );
        assert_eq!(about["upstream"]["images"]["train"], 48, "{board}");
    }
}

const READ_MLFLOW: &str = r#"
import json, sys
from mlflow.tracking import MlflowClient
client = MlflowClient(sys.argv[1])
experiment = client.get_experiment_by_name("tracked")
found, params, statuses = {}, {}, []
for run in client.search_runs([experiment.experiment_id]):
    history = lambda key: [[m.step, m.value] for m in sorted(client.get_metric_history(run.info.run_id, key), key=lambda m: m.step)]
    assert run.info.run_name not in found
    found[run.info.run_name] = {key: history(key) for key in run.data.metrics}
    params[run.info.run_name] = run.data.params
    statuses.append(run.info.status)
print(json.dumps({"found": found, "params": params, "statuses": statuses}))
"#;

/// A real server in a folder of its own, ended with the value.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It has started processes of its own, which are of its group.
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.0.wait();
    }
}

#[test]
fn mlflow_has_what_the_cache_holds() {
    let Some(python_path) = python_with("mlflow") else { return };
    let project = Project::with(PIPELINE);
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let store = format!("sqlite:///{}", project.path("mlflow.db").display());
    let arguments =
        ["-m", "mlflow", "server", "--workers", "1", "--port", &port.to_string(), "--backend-store-uri", &store];
    let server = Command::new(&python_path)
        .args(arguments)
        .current_dir(project.path("."))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    let _server = Server(server.expect("the server can be started"));
    let up = (0..600).any(|_| {
        thread::sleep(Duration::from_millis(500));
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    assert!(up, "the server does not listen");
    let url = format!("http://127.0.0.1:{port}");
    let ran = project.done(&[&RUN[..], &["--mlflow", &url]].concat());
    assert_eq!(ran.err, "");
    // Again, all cached: the experiment is there already, and no run is added.
    assert_eq!(project.done(&[&RUN[..], &["--mlflow", &url]].concat()).err, "");
    let read = python(&python_path, READ_MLFLOW, &[&url]);
    let tag = |manifest: &Manifest, name: &str| {
        if manifest.series.contains_key(name) { format!("final/{name}") } else { name.to_owned() }
    };
    compare(&project, &read["found"], tag, 1e-12);
    assert_eq!(read["params"]["dae@dae.seed=1"]["batch_size"], "16");
    let clusters = &read["params"]["clusters@dae.seed=1"];
    assert_eq!(
        (&clusters["clusters"], &clusters["dae.seed"], &clusters["images.train"]),
        (&json!("4"), &json!("1"), &json!("48"))
    );
    assert!(read["statuses"].as_array().expect("a list").iter().all(|status| status == "FINISHED"));
}

/// Reads offline folders of W&B: the records of each `.wandb` file, which has the blocks of a log of LevelDB (7 bytes of
/// header: checksum, length, and whether it is a whole record or its first, a middle or its last part).
const READ_WANDB: &str = r#"
import glob, json, sys
from wandb.proto import wandb_internal_pb2 as pb
def records(path):
    data, at, whole = open(path, "rb").read(), 7, b""
    assert data[:4] == b":W&B", data[:4]
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        length, part = int.from_bytes(data[at + 4:at + 6], "little"), data[at + 6]
        whole += data[at + 7:at + 7 + length]
        at += 7 + length
        if part in (1, 4):
            yield whole
            whole = b""
runs = []
for path in sorted(glob.glob(sys.argv[1] + "/wandb/offline-run-*/*.wandb")):
    run = {"history": {}, "summary": {}, "config": {}, "exit": None}
    for data in records(path):
        record = pb.Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run.update(name=record.run.display_name, project=record.run.project, group=record.run.run_group, job=record.run.job_type)
            run["config"].update({item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.run.config.update})
        elif kind == "history":
            row = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            for name, value in row.items():
                if not name.startswith("_") and name != "epoch":
                    run["history"].setdefault(name, []).append([row["epoch"], value])
        elif kind == "summary":
            run["summary"].update({item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.summary.update})
        elif kind == "exit":
            run["exit"] = record.exit.exit_code
    runs.append(run)
print(json.dumps(runs))
"#;

#[test]
fn wandb_reads_what_the_cache_holds() {
    let Some(python_path) = python_with("wandb") else { return };
    let project = Project::with(PIPELINE);
    let log = |arguments: &[&str]| {
        project.done(&[&RUN[..], &["--events", "events.jsonl"], arguments].concat());
        let output = Command::new(&python_path)
            .args(["-m", "strata_lab.wandb", "events.jsonl", "--dir", "."])
            .current_dir(project.path("."))
            .env("PYTHONPATH", Path::new(env!("CARGO_MANIFEST_DIR")).join("python"))
            .env("WANDB_MODE", "offline")
            .output()
            .expect("Python can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(log(&[]), format!("{INSTANCES} W&B runs"));
    let first = python(&python_path, READ_WANDB, &[&project.path(".").to_string_lossy()]);
    let manifests = manifests(&project);
    for run in first.as_array().expect("runs") {
        let name = text(&run["name"]);
        let manifest = &manifests[&name];
        let stage = name.split('@').next().expect("a stage");
        assert_eq!(
            (&run["project"], &run["group"], &run["exit"]),
            (&json!("tracked"), &json!(stage), &json!(0)),
            "{name}"
        );
        assert_eq!(run["job"], json!(manifest.recipe.kind), "{name}");
        assert_eq!(run["config"]["strata"]["key"], json!(manifest.recipe.key().hex()), "{name}");
        for (series, points) in &manifest.series {
            let points: Vec<Value> = points.iter().map(|(epoch, value)| json!([epoch, value])).collect();
            assert_eq!(run["history"][series], json!(points), "{name}: {series}");
        }
        for (metric, value) in &manifest.metrics {
            assert_eq!(run["summary"][metric], json!(value), "{name}: {metric}");
        }
    }
    let clusters = first.as_array().and_then(|runs| runs.iter().find(|run| run["name"] == "clusters@dae.seed=1"));
    let config = &clusters.expect("a run")["config"];
    assert_eq!(
        (&config["clusters"]["clusters"], &config["dae"]["seed"], &config["images"]["train"]),
        (&json!(4), &json!(1), &json!(48))
    );
    // Another configuration is another run; what is cached is none.
    assert_eq!(log(&["-S", "dae.batch_size=8"]), "6 W&B runs");
    let both = python(&python_path, READ_WANDB, &[&project.path(".").to_string_lossy()]);
    assert_eq!(both.as_array().map(Vec::len), Some(INSTANCES + 6));
}
