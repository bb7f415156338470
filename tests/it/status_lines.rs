//! Every line that a run can show, in one snapshot to review: any change of words or columns is seen here.

use std::collections::BTreeMap;

use strata::{
    plan::Reason,
    report::{Lines, Plain, Styles, summary},
    run::{Counts, Event, Reporter, Status},
};

const SHORT: &str = "images";
const LONG: &str = "train_features@batches.batch_size=128,batches.policy=stratified,clusters.clusters=64,probe.at=p3";

fn finished(instance: &str, status: Status, seconds: Option<f64>, message: Option<&str>) -> Event {
    Event::StageFinished {
        instance: instance.to_owned(),
        kind: "encode".to_owned(),
        status,
        key: None,
        seconds,
        outputs: BTreeMap::new(),
        message: message.map(str::to_owned),
    }
}

fn started(instance: &str, reason: Reason) -> Event {
    Event::StageStarted {
        instance: instance.to_owned(),
        kind: "encode".to_owned(),
        key: None,
        parameters: serde_json::Value::Null,
        upstream: serde_json::Value::Null,
        reason,
    }
}

fn progress(instance: &str, total: u64, epochs: Option<usize>, loss: Option<f64>) -> Event {
    let epoch = epochs.map(|_| 3);
    Event::Progress { instance: instance.to_owned(), done: 180, total, unit: "step", epoch, epochs, loss }
}

fn all() -> Vec<Event> {
    let param = |old: serde_json::Value, new: serde_json::Value| Reason::Param { path: "temperature".into(), old, new };
    let hash = |digit: &str| Some(digit.repeat(64));
    let reasons = [
        Reason::New,
        Reason::Forced,
        Reason::Version { old: 1, new: 2 },
        param(0.5.into(), 0.2.into()),
        param("random".into(), serde_json::Value::Null),
        Reason::Input { port: "features".into(), old: hash("a"), new: hash("b") },
        Reason::Input { port: "labels".into(), old: None, new: hash("c") },
        Reason::Source { param: "path".into() },
        Reason::Missing { port: "weights".into() },
        Reason::Corrupt { port: "weights".into() },
        Reason::Unreadable { message: "cannot read data/train: No such file or directory".into() },
    ];
    let mut events = vec![Event::RunStarted { pipeline: "quickstart".into(), stages: 12 }];
    events.extend(reasons.into_iter().map(|reason| started(SHORT, reason)));
    events.push(started(LONG, param(0.5.into(), 0.2.into())));
    for name in [SHORT, LONG] {
        events.extend([
            finished(name, Status::Cached, Some(72.0), None),
            finished(name, Status::Ran, Some(0.042), None),
            finished(name, Status::Ran, Some(7505.0), None),
            finished(name, Status::Resumed, Some(72.0), None),
            finished(name, Status::Failed, None, Some("data/cat/1.jpg: not a JPEG\nits code panicked: no message")),
            finished(name, Status::Blocked, None, Some("dae failed")),
            finished(name, Status::Blocked, None, Some("the run was interrupted")),
        ]);
    }
    events.push(Event::Remark {
        instance: SHORT.to_owned(),
        message: "cifar10 in data/cifar-10-batches-bin: 50000 train, 10000 test images".to_owned(),
    });
    for (instances, budget) in [(vec![SHORT.to_owned()], false), (vec![SHORT.to_owned(), LONG.to_owned()], true)] {
        events.push(Event::Stopping { instances, budget });
    }
    events.push(Event::RunFinished { counts: Counts::default(), seconds: 1.0 });
    events
}

/// What a reporter of plain lines prints for a stream of this width.
fn printed(width: Option<usize>) -> String {
    let mut to = Vec::new();
    let mut plain = Plain::new(&mut to, Lines { styles: Styles::default(), width }).everything();
    all().iter().for_each(|event| plain.event(event));
    drop(plain);
    String::from_utf8(to).expect("text")
}

#[test]
fn every_line_of_a_run() {
    let lines = |width| Lines { styles: Styles::default(), width };
    let mut shown =
        format!("## Plain\n\n{}\n## At 80 columns\n\n{}\n## Progress\n\n", printed(None), printed(Some(80)));
    let notes = [
        progress(LONG, 600, Some(10), Some(4.213_456)),
        progress(SHORT, 600, Some(10), Some(4.213_456)),
        progress(SHORT, 600, None, None),
        progress(SHORT, 0, None, None),
    ];
    for width in [None, Some(80), Some(200)] {
        for note in &notes {
            for (rate, left) in [(None, None), (Some(8.13), Some(3753))] {
                shown.push_str(&lines(width).progress(note, &[4.8, 4.5, 4.2], rate, left).expect("a line"));
                shown.push('\n');
            }
        }
        shown.push('\n');
    }
    shown.push_str("## The whole run\n\n");
    let folded = BTreeMap::from([(Status::Cached, 12), (Status::Ran, 9), (Status::Resumed, 1), (Status::Failed, 2)]);
    for (counts, left) in [(&BTreeMap::new(), None), (&folded, Some((375.0, 0))), (&folded, Some((375.0, 3)))] {
        shown.push_str(&format!("{}\n", lines(Some(80)).whole(30, counts, left)));
    }
    shown.push_str("\n## Summary\n\n");
    for counts in [
        Counts { cached: 12, ..Counts::default() },
        Counts { cached: 3, ran: 9, ..Counts::default() },
        Counts { cached: 1, ran: 2, resumed: 3, failed: 4, blocked: 5 },
    ] {
        shown.push_str(&format!("{}\n", summary(&counts, 72.3, &Styles::default())));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn no_line_is_wider_than_its_terminal() {
    for width in [40, 60, 80, 100] {
        for line in printed(Some(width)).lines().filter(|line| !line.starts_with("          ")) {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
        let lines = Lines { styles: Styles::default(), width: Some(width) };
        let note = progress(LONG, 600, Some(10), Some(4.2));
        let line = lines.progress(&note, &[4.8, 4.5, 4.2], Some(812.0), Some(80)).expect("a line");
        // The spinner and a blank stand before it.
        assert!(width < 60 || line.chars().count() + 2 <= width, "{width}: {line}");
    }
}
