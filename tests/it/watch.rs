//! `strata watch`, from outside: saves of the file, a mistake among them, and the end.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    process::{Child, Command},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::support::Project;

const PIPELINE: &str = r#"
[pipeline]
name = "watched"

[stage.images]
kind = "dataset"
source = "shapes"
train = 40
test = 10
size = 16

[stage.pixels]
kind = "encode"
inputs = { images = "images.train" }

[stage.clusters]
kind = "kmeans"
inputs = { features = "pixels.features" }
clusters = 4
"#;

struct Watch<'a> {
    project: &'a Project,
    child: Child,
}

impl<'a> Watch<'a> {
    fn start(project: &'a Project, more: &[&str]) -> Self {
        let to = |name| File::create(project.path(name)).expect("a file to write to");
        let mut command = project.command();
        command.args(["watch", "pipelines/p.toml"]).args(more).stdout(to("out")).stderr(to("err"));
        Self { project, child: command.spawn().expect("the binary can be started") }
    }

    fn said(&self, stream: &str) -> String {
        fs::read_to_string(self.project.path(stream)).expect("what was said")
    }

    /// Waits until a stream holds the text this many times.
    fn until(&mut self, stream: &str, text: &str, times: usize) {
        let begun = Instant::now();
        while self.said(stream).matches(text).count() < times {
            let ended = self.child.try_wait().expect("a child");
            let gone = ended.is_some() || begun.elapsed() > Duration::from_secs(120);
            assert!(!gone, "no {text:?} in\n{}\n{}", self.said("out"), self.said("err"));
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_save_runs_what_is_cheap_and_prices_the_rest() {
    let project = Project::with(PIPELINE);
    project.done(&["run", "pipelines/p.toml"]);
    let mut watch = Watch::start(&project, &["--cheap", "1h"]);
    watch.until("err", "Ctrl-C ends", 1);
    assert!(watch.said("err").contains("cached  clusters"), "{}", watch.said("err"));

    project.edit("pipelines/p.toml", "clusters = 4", "clusters = 5");
    watch.until("err", "Ctrl-C ends", 2);
    assert!(watch.said("err").contains("run  clusters (clusters: 4 -> 5)"), "{}", watch.said("err"));
    assert!(!watch.said("out").contains("left to `strata run`"), "{}", watch.said("out"));

    // A mistake is shown with its line, runs nothing, and the next save mends it.
    project.edit("pipelines/p.toml", "clusters = 5", "clusters = 0");
    watch.until("err", "Ctrl-C ends", 3);
    assert!(watch.said("err").contains("nothing was run"), "{}", watch.said("err"));
    project.edit("pipelines/p.toml", "clusters = 0", "clusters = 6");
    watch.until("err", "Ctrl-C ends", 4);
    assert!(watch.said("err").contains("run  clusters (clusters: 5 -> 6)"), "{}", watch.said("err"));

    let stopped = Command::new("kill").args(["-INT", &watch.child.id().to_string()]).status();
    assert!(stopped.expect("kill runs").success());
    assert_eq!(watch.child.wait().expect("a child ends").code(), Some(0));
}

/// Behind a link, a save is a save: in place, by a new file, by another link on the way, by another folder.
#[test]
fn a_file_behind_links_is_seen_to_change() {
    let project = Project::with("");
    let text = |clusters: usize| PIPELINE.replace("clusters = 4", &format!("clusters = {clusters}"));
    let link = |to: &str, name: &str| {
        let _ = fs::remove_file(project.path(name));
        symlink(to, project.path(name)).expect("a link");
    };
    let rename = |from: &str, to: &str| fs::rename(project.path(from), project.path(to)).expect("renamed");
    // What a stage costs is known of each file by its own last run.
    project.write("pipelines/p.toml", text(3));
    project.done(&["run", "pipelines/p.toml"]);
    project.write("real/one/p.toml", text(4));
    project.write("real/two/p.toml", text(2));
    link("../real/link/p.toml", "pipelines/p.toml");
    for folder in ["two", "one"] {
        link(folder, "real/link");
        project.done(&["run", "pipelines/p.toml"]);
    }
    project.write("real/two/p.toml", text(7));
    let mut watch = Watch::start(&project, &["--cheap", "1h"]);
    watch.until("err", "Ctrl-C ends", 1);
    let save: [&dyn Fn(); 5] = [
        &|| project.write("real/one/p.toml", text(5)),
        &|| {
            project.write("real/one/new", text(6));
            rename("real/one/new", "real/one/p.toml");
        },
        &|| link("two", "real/link"),
        &|| {
            project.write("real/new/p.toml", text(8));
            rename("real/two", "real/old");
            rename("real/new", "real/two");
        },
        &|| {
            project.write("pipelines/new.toml", text(9));
            rename("pipelines/new.toml", "pipelines/p.toml");
        },
    ];
    for (turn, save) in save.iter().enumerate() {
        save();
        watch.until("err", "  ran  clusters", turn + 1);
    }
}

#[test]
fn what_is_dear_waits_with_its_price() {
    let project = Project::with(PIPELINE);
    project.done(&["run", "pipelines/p.toml"]);
    let mut watch = Watch::start(&project, &["--cheap", "0s"]);
    watch.until("err", "Ctrl-C ends", 1);
    project.edit("pipelines/p.toml", "clusters = 4", "clusters = 5");
    watch.until("err", "Ctrl-C ends", 2);
    assert!(!watch.said("err").contains("run  clusters"), "{}", watch.said("err"));
    let out = watch.said("out");
    let (_, left) = out.split_once("left to `strata run`").unwrap_or_else(|| panic!("{out}"));
    let row: Vec<&str> = left.lines().last().unwrap_or_default().split_whitespace().collect();
    assert!(matches!(row[..], ["clusters", "1", _, "ms" | "s"]), "{out}");
}
