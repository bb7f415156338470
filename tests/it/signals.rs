//! Signals: what was ignored stays ignored, and who stops a run is told what it waits for.

use std::{
    fs,
    process::{Command, Stdio},
    sync::atomic::Ordering,
};

use strata::run::{self, Event, Reporter};

use crate::{
    support::{Project, hears_signals, is_event, lines_come, send},
    toys::Bench,
};

const TRAINING: &str = r#"
[stage.images]
kind = "dataset"
train = 40
test = 20
size = 8

[stage.net]
kind = "supervised"
inputs = { train = "images.train", test = "images.test" }
encoder = { kind = "resnet", n = 1, width = 0.25 }
epochs = 40
batch_size = 10
"#;

/// `nohup`, and `trap "" INT` in scripts: each signal for itself.
#[test]
fn a_signal_that_was_ignored_stays_ignored() {
    for signal in ["HUP", "INT", "TERM"] {
        let project = Project::with(TRAINING);
        let binary = project.command().get_program().to_owned();
        let script = format!("trap '' {signal}; exec \"$0\" run pipelines/p.toml --events events.jsonl --threads 1");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).arg(binary).current_dir(project.path(""));
        hears_signals(&mut command);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a shell");
        let events = project.path("events.jsonl");
        assert!(lines_come(&events, &mut child, 1, |line| is_event(line, "stage_started", "net")), "{signal}");
        send(&child, signal);
        assert_eq!(child.wait().expect("it ends").code(), Some(0), "{signal}");
        let told = fs::read_to_string(&events).expect("events");
        assert!(!told.contains("\"stopping\"") && told.contains("\"run_finished\""), "{signal}: {told}");

        // The others do what they did.
        let other = if signal == "TERM" { "INT" } else { "TERM" };
        let _ = fs::remove_dir_all(project.path("cache"));
        fs::remove_file(&events).expect("events");
        let mut child = command.spawn().expect("a shell");
        assert!(lines_come(&events, &mut child, 1, |line| is_event(line, "stage_started", "net")), "{signal}");
        send(&child, other);
        assert_eq!(child.wait().expect("it ends").code(), Some(130), "{other} while {signal} is ignored");
    }
}

/// Asks a run to stop when its first stage has begun, and lets that stage end when the run says that it waits for it.
struct Stop<'a> {
    options: &'a run::Options,
    bench: &'a Bench,
    told: Vec<(Vec<String>, bool)>,
}

impl Reporter for Stop<'_> {
    fn event(&mut self, event: &Event) {
        match event {
            Event::StageStarted { .. } => self.options.cancel.store(true, Ordering::Relaxed),
            Event::Stopping { instances, budget } => {
                self.told.push((instances.clone(), *budget));
                fs::write(self.bench.folder.path().join("end"), "").expect("a file");
            }
            _ => {}
        }
    }
}

#[test]
fn a_stage_that_does_not_stop_is_named() {
    let bench = Bench::new();
    let text =
        "[stage.slow]\nkind = 'stubborn'\nuntil = 'end'\n[stage.next]\nkind = 'map'\ninputs = { in = 'slow.out' }\n";
    bench.with(text, |graph| {
        let options = bench.options();
        let mut stop = Stop { options: &options, bench: &bench, told: Vec::new() };
        let all = graph.select(&[]).expect("everything");
        let report = run::run(graph, &all, &bench.store(), &options, &mut stop).expect("the cache works");
        assert_eq!(stop.told, [(vec!["slow".to_owned()], false)]);
        assert!(report.interrupted);
        assert_eq!((report.counts.ran, report.counts.blocked), (1, 1), "what it has done by then is kept");
    });
}
