//! The shipped examples of programs: NumPy between stages of strata, and training in PyTorch with resume.

use std::{
    ffi::OsString,
    fs,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use serde_json::Value;

use crate::support::{Project, finish, is_event, lines_come, python_with, python_with_torch, send, text};

/// A project with a shipped pipeline and its programs.
fn shipped(pipeline: &str, programs: &[&str]) -> Project {
    let project = Project::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    let names = programs.iter().map(|program| format!("programs/{program}"));
    for name in names.chain([pipeline.to_owned()]) {
        let content = fs::read(folder.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        project.write(&format!("pipelines/{name}"), content);
    }
    project
}

/// The binary where `python3` is this one.
fn with_python(project: &Project, python: &str, args: &[&str]) -> Command {
    let bin = finish(Command::new(python).args(["-c", "import sys, os; print(os.path.dirname(sys.executable))"]));
    let mut path = OsString::from(bin.out.trim());
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = project.command();
    command.args(args).env("PATH", path);
    command
}

fn json(project: &Project, python: &str, args: &[&str]) -> Value {
    let args: Vec<&str> = args.iter().copied().chain(["--output", "json"]).collect();
    let ran = finish(&mut with_python(project, python, &args));
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    serde_json::from_str(&ran.out).expect("JSON")
}

#[test]
fn numpy_between_stages_of_strata() {
    let Some(python) = python_with("numpy, safetensors") else { return };
    let project = shipped("own_stage.toml", &["whiten.py"]);
    let small = ["-S", "images.train=300", "-S", "images.test=100", "-S", "dae.epochs=1"];
    let args = |verb: &'static str| [verb, "pipelines/own_stage.toml"].into_iter().chain(small).collect::<Vec<&str>>();
    json(&project, &python, &args("run"));
    let again = json(&project, &python, &args("run"));
    assert!(again["stages"].as_array().expect("stages").iter().all(|stage| stage["status"] == "cached"), "{again}");
    let table = finish(&mut with_python(&project, &python, &args("table"))).out;
    assert!(table.contains("plain") && table.contains("test accuracy % [95 %]"), "{table}");
    let rows = json(&project, &python, &args("table"));
    let explained = rows["rows"].as_array().expect("rows").iter().filter(|row| row["stage"] == "whitened");
    assert_eq!(explained.filter(|row| row["metrics"]["explained"].as_f64() > Some(0.1)).count(), 9, "{rows}");

    let program = "pipelines/programs/whiten.py";
    let source = fs::read_to_string(project.path(program)).expect("a program");
    project.write(program, format!("{source}\n# edited\n"));
    let plan = json(&project, &python, &args("plan"));
    let stages = plan["stages"].as_array().expect("stages");
    let with = |word: &str| -> Vec<String> {
        let of = stages.iter().filter(|stage| stage["status"] == word).map(|stage| text(&stage["name"]));
        let mut names: Vec<String> = of.collect();
        names.dedup();
        names
    };
    assert_eq!((with("run"), with("waiting")), (vec!["whitened".to_owned()], vec!["knn".to_owned()]));
}

#[test]
fn training_in_pytorch_is_resumed_and_extended() {
    let Some(python) = python_with_torch() else { return };
    let small = ["-S", "images.train=600", "-S", "images.test=100", "-S", "training.width=8"];
    let run = |project: &Project, more: &[&str]| {
        let args: Vec<&str> = ["run", "pipelines/pytorch.toml"].iter().chain(&small).chain(more).copied().collect();
        json(project, &python, &args)
    };
    let model = |ran: &Value| {
        let training = ran["stages"].as_array().expect("stages").iter().find(|stage| stage["name"] == "training");
        text(&training.expect("it is there")["outputs"]["model"]["hash"])
    };
    let undisturbed = shipped("pytorch.toml", &["torch_simclr.py"]);
    let whole = run(&undisturbed, &["-S", "training.epochs=4", "--threads", "1"]);

    let project = shipped("pytorch.toml", &["torch_simclr.py"]);
    run(&project, &["-S", "training.epochs=1", "--threads", "1"]);
    let mut args = vec!["run", "pipelines/pytorch.toml", "training", "--threads", "1", "--events", "events.jsonl"];
    args.extend(small.iter().chain(&["-S", "training.epochs=4"]));
    let mut child =
        with_python(&project, &python, &args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary");
    let saves = |line: &str| is_event(line, "checkpoint", "training");
    lines_come(&project.path("events.jsonl"), &mut child, 1, saves);
    sleep(Duration::from_millis(50));
    send(&child, "KILL");
    child.wait().expect("it ends");
    let again = run(&project, &["-S", "training.epochs=4", "--threads", "1"]);
    assert_eq!(model(&again), model(&whole), "killed, resumed and extended");
    let probe = again["stages"].as_array().expect("stages").iter().find(|stage| stage["name"] == "probe");
    assert!(probe.expect("it is there")["metrics"]["test_accuracy"].is_number(), "{probe:?}");
}
