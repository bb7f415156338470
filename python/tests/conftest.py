"""What the tests share: projects in temporary folders, and the binary of the wheel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from strata_lab import _binary


def require(module: str) -> Any:
    """Imports a module; without it the test is skipped, or fails if `STRATA_REQUIRE_ALL=1`."""
    if os.environ.get("STRATA_REQUIRE_ALL") == "1":
        return __import__(module)
    return pytest.importorskip(module, reason=f"SKIPPED: {module} is not installed (STRATA_REQUIRE_ALL=1 requires it)")


class Project:
    """A project: a folder with pipelines, programs and a cache."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "pipelines").mkdir(parents=True)

    @property
    def file(self) -> Path:
        return self.root / "pipelines" / "p.toml"

    def write(self, name: str, text: str) -> None:
        """Writes a file of the project; `PYTHON` stands for this interpreter."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("PYTHON", sys.executable))

    def strata(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs the binary in the project."""
        return subprocess.run([_binary.find(), *words], cwd=self.root, capture_output=True, text=True, timeout=300)

    def done(self, *words: str) -> str:
        """Runs the binary, which must succeed, and returns what it printed."""
        ran = self.strata(*words)
        assert ran.returncode == 0, ran.stderr + ran.stdout
        return ran.stdout


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project."""
    return Project(tmp_path / "project")


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a small study that has run: kinds of strata, and one in Python between them."""
    project = Project(tmp_path_factory.mktemp("study") / "project")
    project.write("pipelines/p.toml", STUDY)
    project.write("kinds/center.py", CENTER)
    project.done("run", "pipelines/p.toml")
    return project


class Request:
    """A request that a test writes itself, with outputs in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fields: dict[str, Any] = {
            "stage": "p/s",
            "kind": "k",
            "params": {"neighbors": 15},
            "inputs": {},
            "outputs": {},
            "seed": 3,
            "threads": 2,
            "gpus": [],
            "state": None,
            "events": str(folder / "events"),
            "version": 1,
        }

    def output(self, port: str, form: str, **more: Any) -> Path:
        """Declares an output and returns its path."""
        path = self.folder / "outputs" / port
        path.parent.mkdir(exist_ok=True)
        self.fields["outputs"][port] = {"path": str(path), "form": form, **more}
        return path

    def input(self, port: str, form: str, path: Path) -> None:
        """Joins a file to an input."""
        self.fields["inputs"][port] = {"path": str(path), "form": form}

    @property
    def file(self) -> Path:
        """Writes the request and returns its file."""
        path = self.folder / "request.json"
        path.write_text(json.dumps(self.fields))
        return path

    @property
    def events(self) -> list[dict[str, Any]]:
        """What was said."""
        return [json.loads(line) for line in (self.folder / "events").read_text().splitlines()]


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    """An empty request."""
    return Request(tmp_path)


STUDY = """
[pipeline]
name = "study"
seed = 0

[kind.center]
doc = "Features whose mean is zero"
run = "PYTHON kinds/center.py"
inputs = { train = "features", test = "features", labels = "labels?" }
outputs = { train = "features", test = "features", mean = "matrix", note = "file", extra = "matrix?" }
params = { scale = 1.0, seed = 0 }
metrics = { spread = "higher" }

[stage.images]
kind = "dataset"
source = "shapes"
size = 16
train = 200
test = 100

[stage.noise]
kind = "noise"
inputs = { images = "images.train" }
std = 0.1

[stage.dae]
kind = "dae"
inputs = { clean = "images.train", noisy = "noise.images" }
channels = [4, 8]
epochs = 2

[stage.train_features]
kind = "encode"
inputs = { weights = "dae.weights", images = "images.train" }

[stage.test_features]
kind = "encode"
inputs = { weights = "dae.weights", images = "images.test" }

[stage.centered]
kind = "center"
inputs = { train = "train_features.features", test = "test_features.features" }

[stage.knn]
kind = "knn_probe"
inputs = { train = "centered.train", test = "centered.test" }

[sweep]
"centered.scale" = [1.0, 2.0]
"""

CENTER = """
import strata_lab as strata

with strata.stage() as stage:
    train, test = stage.inputs["train"], stage.inputs["test"]
    assert "labels" not in stage.inputs and list(stage.inputs) == ["test", "train"]
    levels = [name for name in train if name != "labels"]
    print(stage.name, levels)
    means = {}
    for level in levels:
        means[level] = train[level].mean(axis=0, dtype="float64")
        stage.point("spread", len(means), train[level].std())
    scale = stage.params["scale"]
    for port, features in stage.inputs.items():
        made = {level: scale * (features[level] - means[level]) for level in levels}
        assert all(made[level].dtype == "float64" for level in levels)
        made["labels"] = features["labels"].astype("int64")
        stage.outputs[port] = strata.Artifact(made, features.attributes)
    stage.outputs["mean"] = means
    stage.outputs["note"] = f"scale {scale}".encode()
    stage.metric("spread", train[levels[0]].std())
    stage.progress(1, 1)
    stage.warning("a small study")
"""
