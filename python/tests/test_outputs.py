"""Inputs, outputs and events, with a request that the test writes."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import strata_lab as strata
from conftest import Request, require


def test_outputs_are_written_when_the_block_ends(request_: Request, tmp_path: Path) -> None:
    place, model = request_.output("map", "matrix"), request_.output("model", "file")
    (tmp_path / "model.bin").write_bytes(b"weights")
    with strata.stage(request_.file) as stage:
        stage.outputs["map"] = strata.Artifact({"map": np.eye(2), "empty": np.zeros((0, 3))}, {"by": ["umap", 1]})
        stage.outputs["model"] = tmp_path / "model.bin"
        assert not place.exists() and stage.output_path("model") == model
    assert sorted(path.name for path in place.parent.iterdir()) == ["map", "model"], "nothing is left beside them"
    assert model.read_bytes() == b"weights"
    with safe_open(place, "numpy") as file:
        assert json.loads(file.metadata()["strata"]) == {"by": ["umap", 1]}
        np.testing.assert_array_equal(file.get_tensor("map"), np.eye(2))
    read = strata.Artifact.read(place)
    assert read["empty"].shape == (0, 3) and read.path == place and dict(read.attributes) == {"by": ["umap", 1]}


def test_nothing_is_written_after_an_exception(request_: Request) -> None:
    place = request_.output("map", "matrix")
    with pytest.raises(ZeroDivisionError), strata.stage(request_.file) as stage:
        stage.outputs["map"] = {"map": np.eye(2)}
        _ = 1 / 0
    assert list(place.parent.iterdir()) == []


def test_a_missing_output_is_named_and_nothing_is_written(request_: Request) -> None:
    place = request_.output("map", "matrix")
    request_.output("model", "file")
    request_.output("extra", "file", optional=True)
    with pytest.raises(strata.OutputError) as error, strata.stage(request_.file) as stage:
        stage.outputs["map"] = {"map": np.eye(2)}
    assert str(error.value).startswith("nothing was set for the output `model`: ")
    assert list(place.parent.iterdir()) == []


FITTING = [
    ("features", "p1", np.ones((2, 3)), "float32"),
    ("features", "p1", np.ones((2, 3), np.float16), "float32"),
    ("features", "p1", np.arange(6).reshape(2, 3), "float32"),
    ("features", "labels", np.array([0, 2**32 - 1]), "uint32"),
    ("labels", "labels", np.array([0, 1], np.int32), "uint32"),
    ("labels", "labels", np.array([0.0, 1.0]), "uint32"),
    ("labels", "confidence", np.array([0.1, 1.0]), "float32"),
    ("images", "images", np.full((1, 3, 2, 2), 255), "uint8"),
    ("images", "images", np.zeros((4, 1, 3, 2, 2), np.float16), "float16"),
    ("batches", "batches", np.zeros((1, 2, 3), np.int64), "uint32"),
    ("matrix", "x", np.array(True), "uint8"),
    ("matrix", "x", np.array([1], np.uint16), "uint32"),
    ("matrix", "x", np.array([1], np.uint64), "int64"),
    ("matrix", "x", np.array([1.5], ">f8"), "float64"),
    ("matrix", "x", np.arange(6.0).reshape(2, 3).T, "float64"),
]


@pytest.mark.parametrize(("form", "name", "array", "dtype"), FITTING)
def test_types_are_converted_where_nothing_is_lost(
    request_: Request, form: str, name: str, array: Any, dtype: str
) -> None:
    place = request_.output("out", form)
    with strata.stage(request_.file) as stage:
        stage.outputs["out"] = {name: array}
    made = strata.Artifact.read(place)[name]
    assert made.dtype == dtype and made.shape == array.shape
    np.testing.assert_array_equal(made, array.astype(dtype))


WRONG = [
    ("features", "p1", np.ones(3), "must be float32 [N, D], and is float64 [3]"),
    ("features", "p1", np.full((1, 1), 1e300), "too large for float32"),
    ("features", "p1", np.array([[2**24 + 1]]), "values that float32 cannot hold"),
    ("features", "p1", np.array([["a"]]), "which is no number"),
    ("labels", "labels", np.array([0, -1]), "from 0 to 4294967295, and has values from -1 to 0"),
    ("labels", "labels", np.array([0.5]), "values that uint32 cannot hold"),
    ("labels", "labels", np.array([np.nan]), "has values from nan to nan"),
    ("labels", "label", np.array([0]), "no tensor `label`: its tensors are `labels` and `confidence` and `truth`"),
    ("images", "images", np.full((1, 3, 2, 2), 0.5), "values that uint8 cannot hold; convert it with `.astype(numpy."),
    ("images", "images", np.full((1, 3, 2, 2), 256), "from 0 to 255, and has values from 256 to 256"),
    ("images", "images", np.full((1, 1, 3, 2, 2), 0.1), "values that float16 cannot hold"),
    ("images", "images", np.zeros((2, 2)), "must be uint8 [N, C, H, W] or float16 [draws, N, C, H, W]"),
    ("matrix", "x", np.array([1j]), "type complex128, which artifacts cannot hold"),
    ("matrix", "x", np.array([object()]), "which artifacts cannot hold"),
    ("matrix", "x", np.array([2**64 - 1], np.uint64), "must be int64"),
]


@pytest.mark.parametrize(("form", "name", "array", "message"), WRONG)
def test_what_does_not_fit_is_refused_where_it_is_set(
    request_: Request, form: str, name: str, array: Any, message: str
) -> None:
    request_.output("out", form)
    stage = strata.stage(request_.file)
    with pytest.raises(strata.OutputError) as error:
        stage.outputs["out"] = {name: array}
    assert message in str(error.value) and str(error.value).startswith("the output `out`: "), str(error.value)


def test_values_of_other_types_are_refused(request_: Request) -> None:
    request_.output("map", "matrix")
    request_.output("model", "file")
    stage = strata.stage(request_.file)
    for port, value, message in [
        ("nope", {}, "this program has no output `nope`; its kind declares `map`, `model`"),
        ("map", np.eye(2), 'has the form matrix: set it to tensors by name, such as {"map": array}, not a ndarray'),
        ("model", {"a": np.eye(2)}, "is a file: set it to bytes or a path, not a dict"),
        ("map", strata.Artifact({}, {"x": np.eye(2)}), "cannot be kept"),
    ]:
        with pytest.raises(strata.OutputError) as error:
            stage.outputs[port] = value  # type: ignore[assignment]
        assert message in str(error.value)


def test_inputs_are_read_lazily_and_stay_as_they_are(request_: Request, tmp_path: Path) -> None:
    path, model = tmp_path / "in.safetensors", tmp_path / "model"
    tensors = {"p3": np.arange(6, dtype=np.float32).reshape(2, 3), "labels": np.array([0, 1], np.uint32)}
    save_file(tensors, path, {"strata": '{"classes": ["a", "b"]}'})
    path.chmod(0o444)
    model.write_bytes(b"any")
    request_.input("features", "features", path)
    request_.input("model", "file", model)
    request_.output("copy", "features")
    with strata.stage(request_.file) as stage:
        features = stage.inputs["features"]
        assert sorted(features) == ["labels", "p3"] and features.attributes == {"classes": ["a", "b"]}
        x = features["p3"]
        x[0, 0] = 100
        assert features["p3"][0, 0] == 0, "the file is as it was"
        assert stage.inputs["model"].path.read_bytes() == b"any"
        with pytest.raises(strata.StrataError, match="plain file without tensors"):
            _ = stage.inputs["model"]["x"]
        with pytest.raises(KeyError, match="no input `labels`; there are `features`, `model`"):
            _ = stage.inputs["labels"]
        with pytest.raises(KeyError, match="no tensor `p4`; there are .*p3"):
            _ = features["p4"]
        assert (stage.params, stage.seed, stage.threads, stage.gpus, stage.state) == ({"neighbors": 15}, 3, 2, [], None)
        stage.outputs["copy"] = features
    copy = strata.Artifact.read(request_.folder / "outputs" / "copy")
    np.testing.assert_array_equal(copy["p3"], tensors["p3"])
    assert copy.attributes == features.attributes


def test_events_are_json_lines(request_: Request, tmp_path: Path) -> None:
    request_.fields["state"] = str(tmp_path)
    with strata.stage(request_.file) as stage:
        stage.metric("accuracy", np.float32(0.5))
        stage.metric("nan", np.nan)
        stage.point("loss", 3, True)
        stage.progress(3, 10)
        stage.progress(1, 2, unit="epoch")
        stage.warning("a \n line")
        stage.saved(epoch=3)
        with pytest.raises(ValueError, match="`epoch` must be a whole number from 0 up, and is 0.5"):
            stage.point("loss", 0.5, 1)  # type: ignore[arg-type]
    assert request_.events == [
        {"metric": "accuracy", "value": 0.5},
        {"metric": "nan", "value": "NaN"},
        {"series": "loss", "epoch": 3, "value": 1.0},
        {"progress": 3, "total": 10, "unit": "step"},
        {"progress": 1, "total": 2, "unit": "epoch"},
        {"warning": "a \n line"},
        {"saved": {"epoch": 3}},
    ]


def test_a_state_that_is_not_kept_cannot_be_saved(request_: Request) -> None:
    with pytest.raises(strata.StrataError, match="the kind `k` must declare `extend`"):
        strata.stage(request_.file).saved(epoch=1)


def test_sigterm_is_left_alone_unless_asked_for(request_: Request) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with strata.stage(request_.file) as stage:
        assert signal.getsignal(signal.SIGTERM) is before and not stage.stopping
    with strata.stage(request_.file, graceful=True) as stage:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stage.stopping
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_request_is_found(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    file = str(request_.file)
    monkeypatch.delenv("STRATA_REQUEST", raising=False)
    monkeypatch.setattr(sys, "argv", ["kinds/umap.py", "train"])
    with pytest.raises(strata.RequestError) as error:
        strata.stage()
    assert "strata try KIND --input features=FILE" in str(error.value) and "`umap.py --request FILE`" in str(
        error.value
    )
    for words in (["--request", file], [f"--request={file}"]):
        monkeypatch.setattr(sys, "argv", ["umap.py", "train", *words])
        assert strata.stage().kind == "k"
    monkeypatch.setattr(sys, "argv", ["umap.py"])
    monkeypatch.setenv("STRATA_REQUEST", file)
    assert strata.stage().name == "p/s"


@pytest.mark.parametrize(
    ("text", "message"),
    [("{}", "KeyError: 'version'"), ("nonsense", "is not a request"), ('{"version": 9}', "version 9")],
)
def test_a_request_that_is_none_says_so(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "request.json"
    path.write_text(text)
    with pytest.raises(strata.RequestError, match=message):
        strata.stage(path)
    with pytest.raises(strata.RequestError, match="cannot be read: No such file"):
        strata.stage(tmp_path / "nope")


@pytest.mark.parametrize("content", [b"", b"PK", b"\xff" * 16, (3).to_bytes(8, "little") + b"[1]"])
def test_a_file_that_is_no_artifact_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(strata.StrataError, match="is not a safetensors file"):
        strata.Artifact.read(path)


def test_tensors_of_pytorch_come_in_and_go_out(request_: Request) -> None:
    torch = require("torch")
    place = request_.output("out", "features")
    with strata.stage(request_.file) as stage:
        stage.outputs["out"] = {
            "p1": torch.ones(2, 3, requires_grad=True),
            "p2": torch.ones(2, 3, dtype=torch.bfloat16).T.contiguous().T,
            "labels": torch.tensor([0, 1]),
        }
    request_.input("in", "features", place)
    read = strata.stage(request_.file).torch("in")
    assert read["p1"].dtype == read["p2"].dtype == torch.float32 and read["labels"].dtype == getattr(
        torch, "uint32", torch.int64
    )
    assert read["labels"].long().tolist() == [0, 1]
    assert strata.Artifact({"x": [[1, 2]]}).torch()["x"].tolist() == [[1, 2]]


def test_types_that_numpy_lacks_are_read_by_pytorch(tmp_path: Path) -> None:
    torch = require("torch")
    from safetensors.torch import save_file as save

    save({"x": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "x")
    artifact = strata.Artifact.read(tmp_path / "x")
    with pytest.raises(strata.StrataError, match="`x` is BF16, which NumPy does not have; `.torch` reads it"):
        _ = artifact["x"]
    assert artifact.torch()["x"].dtype == torch.bfloat16
