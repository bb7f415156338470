"""Results in notebooks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import strata_lab as strata
from conftest import Project


def test_a_table_has_a_row_for_each_instance(study: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(study.root)
    lab = strata.open("pipelines/p.toml")
    monkeypatch.chdir("/")
    table = lab.table()
    assert isinstance(table, pd.DataFrame)
    knn = table[table.stage == "knn"]
    assert knn["centered.scale"].tolist() == [1.0, 2.0]
    assert knn["test_accuracy"].between(0, 1).all()
    assert table[table.stage == "dae"]["test_accuracy"].isna().all()
    assert lab.table("knn")["instance"].tolist() == ["knn@centered.scale=1.0", "knn@centered.scale=2.0"]
    with pytest.raises(strata.BinaryError, match="there is no stage `nope`") as error:
        lab.table("nope")
    assert error.value.code == 2


def test_an_empty_table_says_how_to_fill_it(study: Project, tmp_path: Path) -> None:
    lab = strata.open(study.file, cache_dir=tmp_path / "cache")
    with pytest.warns(UserWarning, match="no results are cached; `strata run"):
        assert lab.table().empty


def test_a_curve_has_a_row_for_each_epoch(study: Project) -> None:
    lab = strata.open(study.file)
    loss = lab.series("dae", "loss")
    assert list(loss.columns) == ["instance", "epoch", "value"] and loss["epoch"].tolist() == [1, 2]
    spread = lab.series("centered", "spread")
    assert list(spread.columns) == ["instance", "centered.scale", "epoch", "value"]
    assert sorted(set(spread["centered.scale"])) == [1.0, 2.0]
    with pytest.raises(KeyError, match="`dae` has no curve `los`; there are loss, lr, val_loss"):
        lab.series("dae", "los")


def test_a_result_has_all_that_is_kept(study: Project) -> None:
    lab = strata.open(study.file)
    dae = lab["dae"]
    assert (dae.instance, dae.stage, dae.kind, dae.axes) == ("dae", "dae", "dae", {})
    assert dae.params["channels"] == [4, 8] and dae.params["epochs"] == 2
    assert len(dae.series["loss"]) == 2 and dae.metrics["loss"] == dae.series["loss"][-1][1]
    weights = dae.tensors("weights")
    assert len(weights) > 2 and all(np.isfinite(weights[name]).all() for name in weights)
    assert dae.attributes("weights")["architecture"]
    assert dae.path("weights").is_file() and dae.log is None
    assert repr(dae).startswith("<Result dae: loss=")
    # Values are compared as numbers.
    assert lab["centered@centered.scale=2"].instance == "centered@centered.scale=2.0"
    with pytest.raises(KeyError, match="`dae` has no output `weight`; there are .*`weights`"):
        dae.path("weight")
    note = lab["centered@centered.scale=2"]
    with pytest.raises(strata.StrataError, match="plain file without tensors"):
        note.tensors("note")


def test_what_is_not_there_says_how_to_get_it(study: Project) -> None:
    lab = strata.open(study.file)
    with pytest.raises(KeyError, match="there is no stage `daee`; did you mean `dae`") as unknown:
        _ = lab["daee"]
    assert not str(unknown.value).startswith("'"), "it is shown as it is"
    with pytest.raises(KeyError, match="`centered` has 2 instances; name one of `centered@centered.scale=1.0`, `cen"):
        _ = lab["centered"]
    other = strata.open(study.file, set=["dae.epochs=3"])
    with pytest.raises(KeyError, match=r"`dae` has not run as it is now; `strata run .*-S 'dae.epochs=3'` runs it"):
        _ = other["dae"]
    broken = strata.open(study.file, set="dae.epoch=3")
    with pytest.raises(strata.BinaryError, match="dae.epoch"):
        _ = broken["dae"]
    with pytest.raises(FileNotFoundError, match=r"there is no pipeline file .*nope\.toml"):
        strata.open(study.root / "nope.toml")


def test_bytes_that_were_evicted_are_no_path(project: Project) -> None:
    project.write(
        "pipelines/p.toml", '[stage.images]\nkind = "dataset"\nsource = "shapes"\nsize = 8\ntrain = 20\ntest = 20\n'
    )
    project.done("run", "pipelines/p.toml")
    result = strata.open(project.file)["images"]
    assert result.path("train").is_file()
    project.done("cache", "gc", "--max-size", "0")
    with pytest.raises(
        KeyError, match=r"the bytes of `images.train` are no longer .*`strata run .* images` makes them"
    ):
        strata.open(project.file)["images"].path("train")


def test_history_has_the_results_of_all_runs(project: Project) -> None:
    project.write(
        "pipelines/p.toml",
        """
[stage]
images = { kind = "dataset", train = 60, test = 40, size = 8 }
train = { kind = "encode", inputs = { images = "images.train" } }
test = { kind = "encode", inputs = { images = "images.test" } }
knn = { kind = "knn_probe", inputs = { train = "train.features", test = "test.features" }, k = 3 }
""",
    )
    project.done("run", "pipelines/p.toml")
    project.done("run", "pipelines/p.toml", "-S", "images.train=40,50")
    lab = strata.open(project.file)
    assert len(lab.table("knn")) == 1
    history = lab.history("knn")
    assert sorted(history["images.train"]) == [40, 50, 60]
    assert history["key"].is_unique and history["test_accuracy"].between(0, 1).all()
    assert history["run"].nunique() == 2 and (history["stage"] == "knn").all()
    with pytest.raises(strata.BinaryError, match="no result in the cache is of `nope`"):
        lab.history("nope")


def test_a_failed_run_has_no_result(project: Project) -> None:
    project.write(
        "pipelines/p.toml", '[kind.f]\nrun = "PYTHON f.py"\noutputs = { x = "file" }\n[stage.s]\nkind = "f"\n'
    )
    project.write("f.py", "print('so far')\nraise SystemExit(3)\n")
    assert project.strata("run", "pipelines/p.toml").returncode == 1
    with pytest.raises(
        KeyError, match=r"`s` has no result: its last run failed or was stopped \(see .*\.log\); `strata"
    ):
        _ = strata.open(project.file)["s"]


def test_the_binary_is_found(monkeypatch: pytest.MonkeyPatch, study: Project, tmp_path: Path) -> None:
    from strata_lab import _binary

    monkeypatch.setenv("STRATA_BINARY", str(tmp_path / "none"))
    with pytest.raises(strata.BinaryError, match="cannot be started: No such file"):
        strata.open(study.file).table()
    monkeypatch.delenv("STRATA_BINARY")
    monkeypatch.setattr(_binary, "files", lambda _: [])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(strata.BinaryError, match="`pip install strata-lab` brings it"):
        strata.open(study.file).table()
