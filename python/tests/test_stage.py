"""Programs that the binary runs."""

from __future__ import annotations

import json

import numpy as np

import strata_lab as strata
from conftest import Project


def test_a_program_takes_part_in_a_graph(study: Project) -> None:
    lab = strata.open(study.file)
    centered = lab["centered@centered.scale=2.0"]
    before = lab["train_features"].tensors("features")
    after = centered.tensors("train")
    mean = before["latent"].mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(after["latent"], 2 * (before["latent"] - mean), rtol=1e-6, atol=1e-6)
    assert (after["latent"].dtype, after["labels"].dtype) == (np.float32, np.uint32)
    assert centered.attributes("train") == lab["train_features"].attributes("features")
    np.testing.assert_allclose(centered.tensors("mean")["latent"], mean)
    assert centered.path("note").read_bytes() == b"scale 2.0"
    assert centered.outputs == ["mean", "note", "test", "train"], "an output that need not be made was not"
    assert centered.log is not None and centered.log.startswith("study/centered@centered.scale=2.0 ['latent'")
    assert centered.warnings == ["a small study"]
    assert centered.metrics["spread"] == centered.series["spread"][0][1] > 0
    # What depends on it has results.
    assert 0 <= lab["knn@centered.scale=2.0"].metrics["test_accuracy"] <= 1


RESUMED = """
[kind.count]
run = "PYTHON kinds/count.py"
outputs = { total = "matrix", model = "file" }
params = { epochs = 3 }
extend = "epochs"

[stage.s]
kind = "count"
"""

COUNT = """
import os, sys, pathlib
import strata_lab as strata

with strata.stage(graceful=True) as stage:
    kept = stage.state / "epoch"
    done = int(kept.read_text()) if kept.exists() else 0
    print("from", done)
    for epoch in range(done + 1, stage.params["epochs"] + 1):
        kept.write_text(str(epoch))
        stage.saved(epoch=epoch)
        stage.point("loss", epoch, 1 / epoch)
        stage.progress(epoch, stage.params["epochs"], unit="epoch")
        if epoch == 2 and done == 0:
            # As strata does when a run is interrupted.
            os.kill(os.getpid(), 15)
        if stage.stopping:
            sys.exit(130)
    stage.outputs["total"] = {"total": [[epoch]]}
    stage.output_path("model").write_bytes(b"written by the program itself")
"""


def test_a_program_that_is_stopped_continues_from_its_state(project: Project) -> None:
    project.write("pipelines/p.toml", RESUMED)
    project.write("kinds/count.py", COUNT)
    stopped = project.strata("run", "pipelines/p.toml")
    assert stopped.returncode == 1 and "130" in stopped.stderr, stopped.stderr
    assert "from 0" in stopped.stderr
    project.done("run", "pipelines/p.toml")
    result = strata.open(project.file)["s"]
    assert result.log == "from 2\n"
    assert result.tensors("total")["total"].tolist() == [[3]]
    assert result.path("model").read_bytes() == b"written by the program itself"


FAILS = """
[kind.fails]
run = "PYTHON kinds/fails.py"
outputs = { map = "matrix", model = "file" }

[stage.s]
kind = "fails"
"""


def test_an_output_that_is_missing_is_named_where_the_log_ends(project: Project) -> None:
    project.write("pipelines/p.toml", FAILS)
    project.write(
        "kinds/fails.py", 'import strata_lab as strata\nwith strata.stage() as s:\n    s.outputs["model"] = b"x"\n'
    )
    failed = project.strata("run", "pipelines/p.toml")
    assert failed.returncode == 1
    assert "nothing was set for the output `map`: set stage.outputs" in failed.stderr, failed.stderr


def test_a_nan_in_a_metric_fails_the_stage(project: Project) -> None:
    project.write("pipelines/p.toml", FAILS)
    project.write(
        "kinds/fails.py",
        'import strata_lab as strata\nwith strata.stage() as s:\n    s.metric("a", float("nan"))\n'
        '    s.outputs["model"] = b"x"\n    s.outputs["map"] = {"map": [1.0]}\n',
    )
    failed = project.strata("run", "pipelines/p.toml")
    assert failed.returncode == 1 and "it reported NaN for the metric `a`" in failed.stderr, failed.stderr


def test_a_plan_after_a_run_has_nothing_to_do(study: Project) -> None:
    plan = json.loads(study.done("plan", "pipelines/p.toml", "--output", "json"))
    assert {stage["status"] for stage in plan["stages"]} == {"cached"}
