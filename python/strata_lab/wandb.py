"""Runs of strata in Weights & Biases: `python -m strata_lab.wandb EVENTS`.

`strata run FILE --events events.jsonl` writes what happens as lines; this program makes of them a W&B run for each
instance whose code ran. With `WANDB_MODE=offline`, nothing leaves the machine: the runs are folders, which `wandb sync`
may send later. With `-` the events come from standard input, as they happen::

    WANDB_MODE=offline strata run FILE --events >(python -m strata_lab.wandb -)

A run has the name of the instance, and its stage, its kind and the pipeline as group, job type and project. Its
configuration has the parameters of the stage and of everything that it depends on, by `stage.parameter`, and under
`strata` the key of the result and, where the events have one, the id of strata's run.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any


class Tracker:
    """Makes W&B runs of events."""

    def __init__(self, project: str | None = None, folder: str | None = None) -> None:
        """Logs to a project, by default that of the pipeline's name, with the files of W&B in a folder."""
        self._project = project
        self._folder = folder
        self._pipeline = "strata"
        self._runs: dict[str, _Run] = {}
        self.count = 0

    def follow(self, lines: Iterable[str]) -> None:
        """Takes lines until there are no more. Runs that have not ended by then are marked as crashed."""
        try:
            for line in lines:
                if line.strip():
                    self._take(json.loads(line))
        finally:
            for run in self._runs.values():
                run.end(failed=True)
            self._runs.clear()

    def _take(self, event: dict[str, Any]) -> None:
        instance = str(event.get("instance"))
        if event["event"] == "run_started":
            self._pipeline = event["pipeline"]
        elif event["event"] == "stage_started":
            # A retry starts from scratch, so what the first try said is not wanted.
            if instance in self._runs:
                self._runs.pop(instance).end(failed=True)
            self._runs[instance] = _Run(event, self._project or self._pipeline, self._folder)
            self.count += 1
        elif event["event"] == "metric" and instance in self._runs:
            self._runs[instance].metric(event["name"], _number(event["value"]), event.get("epoch"))
        elif event["event"] == "stage_finished" and instance in self._runs:
            self._runs.pop(instance).end(failed=event["status"] not in ("ran", "resumed"))


class _Run:
    """One W&B run."""

    def __init__(self, started: dict[str, Any], project: str, folder: str | None) -> None:
        import wandb

        instance, key = started["instance"], started.get("key")
        stage = instance.split("@")[0]
        made = {"key": key, "run": started.get("run")}
        config = {
            **started.get("upstream", {}),
            stage: started["parameters"],
            "strata": {name: value for name, value in made.items() if value is not None},
        }
        self._run = wandb.init(
            project=_project(project),
            dir=folder,
            name=instance,
            group=stage,
            job_type=started["kind"],
            config=config,
            reinit="create_new",
            # The console belongs to strata.
            settings=wandb.Settings(silent=True, console="off"),
        )
        self._run.define_metric("epoch")
        self._run.define_metric("*", step_metric="epoch")
        self._epoch: int | None = None
        self._points: dict[str, float] = {}
        self._summary: dict[str, float] = {}

    def metric(self, name: str, value: float, epoch: int | None) -> None:
        if epoch is None:
            self._summary[name] = value
            return
        if epoch != self._epoch:
            self._flush()
            self._epoch = epoch
        self._points[name] = value

    def end(self, *, failed: bool) -> None:
        self._flush()
        self._run.summary.update(self._summary)
        self._run.finish(exit_code=1 if failed else 0)

    def _flush(self) -> None:
        if self._points:
            self._run.log({"epoch": self._epoch, **self._points})
            self._points = {}


def _number(value: float | str) -> float:
    """Reads a number; those that JSON lacks are strings."""
    return {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}[value] if isinstance(value, str) else value


def _project(name: str) -> str:
    """Replaces what W&B refuses in the name of a project."""
    return "".join("-" if letter in r"/\#?%:" else letter for letter in name)[:128]


def main(arguments: list[str] | None = None) -> int:
    """Runs the program."""
    parser = argparse.ArgumentParser(prog="python -m strata_lab.wandb", description="Log runs of strata to W&B.")
    parser.add_argument("events", help="the file that `strata run --events` wrote, or - for standard input")
    parser.add_argument("--project", help="the project; by default the name of the pipeline")
    parser.add_argument("--dir", help="the folder that gets `wandb/`; by default the current one")
    chosen = parser.parse_args(arguments)
    try:
        import wandb  # noqa: F401
    except ImportError:
        print("error: W&B is not installed; `pip install wandb` installs it", file=sys.stderr)
        return 2
    if chosen.events != "-" and not Path(chosen.events).is_file():
        print(f"error: there is no file {chosen.events}", file=sys.stderr)
        return 2
    tracker = Tracker(chosen.project, chosen.dir)
    with nullcontext(sys.stdin) if chosen.events == "-" else open(chosen.events, encoding="utf-8") as lines:
        tracker.follow(lines)
    print(f"{tracker.count} W&B runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
