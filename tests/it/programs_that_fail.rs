//! Programs that fail, misbehave or are killed: each is a clear failure, nothing wrong is kept, no process stays behind.

use std::{
    fs,
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{Project, Ran, cases, finish, is_event, lines_come, send};

/// A project whose stage `s` runs a shell script. The stage before it makes a file.
fn project(script: &str, more: &str) -> Project {
    let project = Project::with(&format!(
        r#"
[kind.make]
run = "sh -c 'echo content > {{outputs.out}}'"
outputs = {{ out = "file" }}

[kind.k]
run = "sh kinds/k.sh {{inputs.in}} {{outputs.out}} {{state}}"
inputs = {{ in = "file" }}
outputs = {{ out = "file" }}
params = {{ epochs = 5 }}
{more}

[stage.before]
kind = "make"

[stage.s]
kind = "k"
inputs = {{ in = "before.out" }}
"#
    ));
    project.write("kinds/k.sh", script);
    project
}

/// The processes whose working folder is the project: programs are started there, and what they start inherits it.
fn processes(project: &Project) -> Vec<String> {
    let root = project.path("").canonicalize().expect("the root");
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    let of_project = entries.filter(|path| fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd == root));
    of_project.map(|path| fs::read_to_string(path.join("cmdline")).unwrap_or_default()).collect()
}

fn none_left(project: &Project) {
    let until = Instant::now() + Duration::from_secs(5);
    while !processes(project).is_empty() {
        assert!(Instant::now() < until, "{:?}", processes(project));
        sleep(Duration::from_millis(10));
    }
    let scratch = fs::read_dir(project.path("cache/scratch")).map_or(0, Iterator::count);
    assert_eq!(scratch, 0, "temporary files stay");
}

/// Runs a script that must fail, and returns what was said. What it made is not kept.
fn failure(script: &str, more: &str) -> String {
    let project = project(script, more);
    let ran = project.strata(&["run", "pipelines/p.toml"]);
    assert_eq!(ran.code, Some(1), "{script}\n{}{}", ran.out, ran.err);
    none_left(&project);
    let plan = project.words("plan", &[]);
    assert!(plan.iter().any(|(instance, word)| instance == "s" && word == "run"), "{script}\n{plan:?}");
    assert!(ran.err.contains("failed  s\n"), "{script}\n{}", ran.err);
    ran.err
}

#[test]
fn every_way_to_fail_is_named() {
    let said = failure("echo begins; echo 'no such module' >&2; exit 3", "");
    assert!(said.contains("exit code 3") && said.contains("begins\n") && said.contains("no such module"), "{said}");
    assert!(said.contains("logs-v1"), "where the log is: {said}");
    let said = failure("kill -SEGV $$", "");
    assert!(said.contains("signal 11 (SIGSEGV)") && said.contains("it printed nothing"), "{said}");
    let said = failure("true", "");
    assert!(said.contains("without its output `out`") && said.contains("no file there"), "{said}");
    let said = failure("echo half > $2; exit 1", "");
    assert!(said.contains("exit code 1"), "{said}");
    for value in ["NaN", "-Infinity", "1e999"] {
        let script = format!("echo x > $2; echo '{{\"metric\": \"m\", \"value\": {value}}}' >> \"$3.events\"");
        let said = failure(&script, "");
        assert!(said.contains("for the metric `m`") || said.contains("is not understood"), "{value}: {said}");
    }
    let said = failure("sleep 60", "timeout = \"200ms\"");
    assert!(said.contains("its `timeout` of 200ms"), "{said}");
    let said = failure("sleep 61 & sleep 62 & wait", "timeout = \"200ms\"");
    assert!(said.contains("its `timeout` of 200ms"), "{said}");
}

#[test]
fn a_program_that_cannot_be_started_is_named() {
    for (run, what) in [
        ("no_such_program", "there is no such program on PATH"),
        ("kinds/none", "there is no such program on PATH"),
        ("kinds/plain", "not executable"),
        ("kinds/lost", "the first line of a script"),
    ] {
        let project = Project::with(&format!(
            "[kind.k]\nrun = \"{run}\"\noutputs = {{ out = \"file\" }}\n[stage.s]\nkind = \"k\"\n"
        ));
        project.write("kinds/plain", "echo");
        project.write("kinds/lost", "#!/no/such/interpreter\n");
        if run == "kinds/lost" {
            finish(std::process::Command::new("chmod").arg("+x").arg(project.path("kinds/lost")));
        }
        let ran = project.strata(&["run", "pipelines/p.toml"]);
        assert!(ran.code == Some(1) && ran.err.contains(what) && ran.err.contains(run), "{}", ran.err);
    }
    let project = Project::with("[kind.k]\nrun = \"sh x.sh\"\nfiles = [\"none/*.py\"]\n[stage.s]\nkind = \"k\"\n");
    let ran = project.strata(&["run", "pipelines/p.toml"]);
    assert!(ran.code == Some(2) && ran.err.contains("`none/*.py`: there is no such file"), "{}", ran.err);
}

#[test]
fn a_program_that_writes_to_its_input_fails_and_the_input_is_made_again() {
    // As root, a file without write permission can be written to all the same.
    let script = "chmod u+w $1; echo more >> $1; cat $1 > $2";
    let project = project(script, "");
    let ran = project.strata(&["run", "pipelines/p.toml"]);
    assert!(ran.code == Some(1) && ran.err.contains("changed its input `in`"), "{}", ran.err);
    project.write("kinds/k.sh", "cat $1 > $2");
    let ran = project.strata(&["run", "pipelines/p.toml"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let made = project.json(&["run", "pipelines/p.toml"]);
    let path = made["stages"][1]["outputs"]["out"]["path"].as_str().expect("a path").to_owned();
    assert_eq!(fs::read_to_string(path).expect("an object"), "content\n");
}

/// A link to a file outside the cache would change with that file.
#[test]
fn an_output_that_is_a_link_is_kept_as_a_file_of_its_own() {
    for link in ["ln -s", "ln"] {
        let project = project(&format!("{link} \"$PWD/outside\" $2"), "");
        project.write("outside", "first");
        let made = project.json(&["run", "pipelines/p.toml"]);
        let path = made["stages"][1]["outputs"]["out"]["path"].as_str().expect("a path").to_owned();
        project.write("outside", "other");
        assert_eq!(fs::read_to_string(path).expect("an object"), "first", "{link}");
        project.done(&["cache", "verify"]);
    }
}

#[test]
fn processes_that_outlive_a_program_are_stopped() {
    // In its group, and as a daemon with a session and a name of its own.
    let said = failure("echo x > $2; sleep 63 &", "");
    assert!(said.contains("processes that it had started were still running"), "{said}");
    let said = failure("echo x > $2; (setsid sleep 64 > /dev/null 2>&1 &) ; sleep 0.2", "");
    assert!(said.contains("processes that it had started were still running"), "{said}");
}

#[test]
fn a_gigabyte_of_output_is_cut() {
    let project = project("echo first; head -c 1000000000 /dev/zero; echo; echo last; cat $1 > $2", "");
    let ran = project.strata(&["run", "pipelines/p.toml"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let log = project.done(&["log", "pipelines/p.toml", "s"]).out;
    assert!(log.starts_with("first\n") && log.ends_with("last\n") && log.len() < 3 << 20, "{}", log.len());
    assert!(log.contains("[strata left out 99790"), "what is left out is said");
}

/// Starts a run, and waits until `s` has started. `None` if the run ended before.
fn start(project: &Project) -> Option<Child> {
    let mut command = project.command();
    command.args(["run", "pipelines/p.toml", "--events", "events.jsonl"]);
    let _ = fs::remove_file(project.path("events.jsonl"));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary");
    let begins = |line: &str| is_event(line, "stage_started", "s");
    lines_come(&project.path("events.jsonl"), &mut child, 1, begins).then_some(child)
}

fn started(project: &Project) -> Child {
    start(project).expect("it has something to do")
}

fn wait_for(project: &Project, file: &str) {
    let until = Instant::now() + Duration::from_secs(20);
    while !project.path(file).exists() {
        assert!(Instant::now() < until, "{file} does not come");
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_interrupt_reaches_the_whole_group_and_leaves_time_to_save() {
    let script = "trap 'echo saved > saved; kill $!; exit 130' TERM; sleep 65 & touch here; wait $!; sleep 66";
    let project = project(script, "");
    let mut child = started(&project);
    wait_for(&project, "here");
    send(&child, "INT");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(project.path("saved").exists());
    none_left(&project);
    let plan = project.words("plan", &[]);
    assert_eq!(plan[1], ("s".to_owned(), "run".to_owned()));
}

#[test]
fn a_program_that_ignores_the_request_to_end_is_killed() {
    let project = project("trap '' TERM INT; touch here; sleep 67; sleep 68; sleep 69", "");
    let mut child = started(&project);
    wait_for(&project, "here");
    let asked = Instant::now();
    send(&child, "INT");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(asked.elapsed() >= Duration::from_secs(9), "it had ten seconds: {:?}", asked.elapsed());
    none_left(&project);
}

#[test]
fn a_second_interrupt_and_a_killed_strata_leave_no_process() {
    for signals in [&["INT", "INT"][..], &["KILL"]] {
        let project = project("trap '' TERM INT HUP; (sleep 70; sleep 71) & touch here; sleep 72; sleep 73", "");
        let mut child = started(&project);
        wait_for(&project, "here");
        for signal in signals {
            send(&child, signal);
            sleep(Duration::from_millis(150));
        }
        child.wait().expect("it ends");
        let until = Instant::now() + Duration::from_secs(5);
        while !processes(&project).is_empty() {
            assert!(Instant::now() < until, "{signals:?}: {:?}", processes(&project));
            sleep(Duration::from_millis(10));
        }
    }
}

/// Counts to five in its state folder, one file that is replaced by each step, and ends with all of them.
const COUNTING: &str = r#"
state=$3
now=$(cat "$state/at" 2> /dev/null || echo 0)
epochs=$(sed -n 's/.*"epochs": \([0-9]*\).*/\1/p' "$STRATA_REQUEST")
[ "$now" = 0 ] && : > "$state/steps"
while [ "$now" -lt "$epochs" ]; do
  now=$((now + 1))
  head -n $((now - 1)) "$state/steps" > "$state/next"
  echo "step $now" >> "$state/next"
  mv "$state/next" "$state/steps"
  echo "$now" > "$state/at.new"
  mv "$state/at.new" "$state/at"
  echo "{\"saved\": {\"epoch\": $now}}" >> "$3.events"
  sleep 0.05
done
cat "$state/steps" > "$2"
"#;

fn hash(project: &Project) -> String {
    let made = project.json(&["run", "pipelines/p.toml"]);
    made["stages"][1]["outputs"]["out"]["hash"].as_str().expect("a hash").to_owned()
}

/// Kills the program of a project, and what it started, as by `kill -9`; strata stays.
fn kill_program(project: &Project) {
    let root = project.path("").canonicalize().expect("the root");
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path()) {
        let is_program = fs::read(entry.join("cmdline")).is_ok_and(|line| line.starts_with(b"sh\0"));
        if is_program && fs::read_link(entry.join("cwd")).is_ok_and(|cwd| cwd == root) {
            let pid = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            finish(std::process::Command::new("kill").args(["-KILL", &pid]));
        }
    }
}

#[test]
fn a_program_killed_at_any_moment_goes_on_to_the_same_bytes() {
    let undisturbed = project(COUNTING, "");
    let expected = hash(&undisturbed);
    let (first, count) = cases("kills of programs", 50);
    let project = project(COUNTING, "");
    let (mut killed, mut resumed) = (0, 0);
    for case in first..first + count {
        let mut random = case.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        random ^= random >> 29;
        let mut child = start(&project).unwrap_or_else(|| {
            assert_eq!(hash(&project), expected, "STRATA_SEED={case}");
            fs::remove_dir_all(project.path("cache")).expect("a cache");
            started(&project)
        });
        sleep(Duration::from_millis(random % 200));
        if child.try_wait().expect("a child").is_none() {
            killed += 1;
            if random & (1 << 20) == 0 { send(&child, "KILL") } else { kill_program(&project) }
        }
        child.wait().expect("it ends");
        let events = fs::read_to_string(project.path("events.jsonl")).unwrap_or_default();
        resumed += u64::from(events.contains("resumed"));
    }
    assert_eq!(hash(&project), expected, "after all");
    println!("{killed} kills, {resumed} runs that resumed");
    assert!(killed * 2 > count && resumed * 4 > count, "{killed} kills, {resumed} runs that resumed");
}

#[test]
fn more_epochs_extend_and_fewer_do_not_see_what_is_beyond_them() {
    let project = project(COUNTING, "extend = \"epochs\"");
    let run = |epochs: &str| -> Ran {
        let ran = project.done(&["run", "pipelines/p.toml", "-S", &format!("s.epochs={epochs}"), "-v"]);
        let word = if ran.err.contains("resumed  s") { "resumed" } else { "ran" };
        Ran { out: word.to_owned(), ..ran }
    };
    assert_eq!(run("3").out, "ran");
    let plan = project.words("plan", &["-S", "s.epochs=6"]);
    assert_eq!(plan[1].1, "run");
    assert_eq!(run("6").out, "resumed");
    assert_eq!(run("4").out, "ran", "what six epochs left is not the state after four");
    let states = project.json(&["cache", "ls", "--states"])["states"].clone();
    assert!(states.as_array().is_some_and(|states| states.len() == 2), "{states}");
    let made = project.json(&["run", "pipelines/p.toml", "-S", "s.epochs=4"]);
    let path = made["stages"][1]["outputs"]["out"]["path"].as_str().expect("a path").to_owned();
    assert_eq!(fs::read_to_string(path).expect("an object"), "step 1\nstep 2\nstep 3\nstep 4\n");
    project.done(&["cache", "gc", "--max-size", "0B"]);
}

/// A program changes its files while it runs: what it made belongs to neither content.
#[test]
fn a_program_that_changes_while_it_runs_is_run_again() {
    let project = project("cat $1 > $2; echo \"# $(date +%N)\" >> kinds/k.sh\n", "");
    let ran = project.strata(&["run", "pipelines/p.toml"]);
    assert!(ran.code == Some(1) && ran.err.contains("k.sh"), "{}", ran.err);
}

/// Counts to `{params.epochs}`, and reports metrics, warnings and points only for the steps that it does itself. It dies once
/// after the second: killed before it says that it saved the state, but after it wrote it.
const REPORTING: &str = r#"
events="$3.events"
say() { echo "$1" >> "$events"; }
done=$(cat "$3/step" 2>/dev/null || echo 0)
[ "$done" = 0 ] && say '{"metric": "begun", "value": 1}' && say '{"warning": "it begins"}'
while [ "$done" -lt "$4" ]; do
    done=$((done + 1))
    say "{\"series\": \"loss\", \"epoch\": $done, \"value\": $done}"
    echo "$done" > "$3/step"
    [ "$done" = 2 ] && [ ! -e died ] && touch died && printf '{"series": "lo' >> "$events" && kill -KILL $$
    say "{\"saved\": {\"epoch\": $done}}"
    say "{\"series\": \"after\", \"epoch\": $done, \"value\": $done}"
done
say "{\"metric\": \"last\", \"value\": $done}"
say "{\"metric\": \"of_$done\", \"value\": $done}"
echo "$done" > "$2"
"#;

#[test]
fn what_a_program_reported_before_it_died_is_kept_with_its_state() {
    let project = project(REPORTING, "extend = \"epochs\"\nmetrics = { last = \"higher\", never = \"higher\" }");
    project.edit("pipelines/p.toml", "{state}", "{state} {params.epochs}");
    let reported = |epochs: u64| {
        let set = format!("s.epochs={epochs}");
        project.done(&["run", "pipelines/p.toml", "-S", &set]);
        let log = project.json(&["log", "pipelines/p.toml", "s", "-S", &set]);
        let entry = log["stages"][0].clone();
        let (loss, mut after) = (entry["series"]["loss"].clone(), entry["series"]["after"].clone());
        // The program died before it could report that of the second epoch.
        after.as_array_mut().expect("points").insert(1, loss[1].clone());
        assert_eq!(loss, after);
        (entry["metrics"].clone(), loss, entry["warnings"].clone())
    };
    let died = project.strata(&["run", "pipelines/p.toml", "-S", "s.epochs=4"]);
    assert!(died.code == Some(1) && died.err.contains("signal 9"), "{}", died.err);
    let curve = |epochs: u64| -> serde_json::Value { (1..=epochs).map(|epoch| json!([epoch, epoch as f64])).collect() };
    let (metrics, series, warnings) = reported(4);
    assert_eq!((metrics, series), (json!({ "begun": 1.0, "last": 4.0, "of_4": 4.0 }), curve(4)));
    let never = "the program ended without reporting its metric `never`";
    assert_eq!(warnings, json!(["it begins", never]));
    // What came after the state of four epochs belongs to the work of four epochs alone.
    let (metrics, series, warnings) = reported(6);
    assert_eq!((metrics, series), (json!({ "begun": 1.0, "last": 6.0, "of_6": 6.0 }), curve(6)));
    assert_eq!(warnings, json!(["it begins", never]));
}
