"""Images of an artifact as a dataset of PyTorch."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import strata_lab as strata
from conftest import Project, require

torch = require("torch")


def floats(image: Any) -> Any:
    """A transform that workers can import."""
    return image.float() / 255


def test_items_are_images_with_labels(study: Project) -> None:
    lab = strata.open(study.file)
    images = lab.images("images.train")
    assert isinstance(images, torch.utils.data.Dataset) and len(images) == 200
    raw = lab["images"].tensors("train")
    image, label = images[7]
    assert image.dtype == torch.uint8 and tuple(image.shape) == (3, 16, 16) and isinstance(label, int)
    np.testing.assert_array_equal(image.numpy(), raw["images"][7])
    assert label == raw["labels"][7] and images.classes == raw.attributes["classes"]
    image.zero_()
    assert images[7][0].any(), "an item is a copy"
    with pytest.raises(IndexError):
        _ = images[200]


def test_workers_open_the_file_themselves(study: Project) -> None:
    images = strata.open(study.file).images("images.test", transform=floats)
    assert len(pickle.dumps(images)) < 1000
    for context in ("fork", "spawn"):
        loader = torch.utils.data.DataLoader(images, batch_size=32, num_workers=1, multiprocessing_context=context)
        batches = list(loader)
        assert sum(len(labels) for _, labels in batches) == 100
        assert batches[0][0].dtype == torch.float32 and float(batches[0][0].max()) <= 1


def test_noisy_draws_are_images_too(study: Project) -> None:
    lab = strata.open(study.file)
    image, label = lab.images("noise.images")[3]
    assert image.dtype == torch.float16 and tuple(image.shape) == (3, 16, 16) and label >= 0
    with pytest.raises(strata.StrataError, match="there is no draw 99"):
        lab.images("noise.images", draw=99)


def test_other_outputs_are_refused(study: Project) -> None:
    lab = strata.open(study.file)
    with pytest.raises(strata.StrataError, match="holds no images"):
        lab.images("dae.weights")
    with pytest.raises(strata.StrataError, match=r"INSTANCE\.PORT"):
        lab.images("images")
    with pytest.raises(KeyError, match="`images` has no output `trian`"):
        lab.images("images.trian")


def test_tensors_of_results_are_those_of_the_file(study: Project) -> None:
    dae = strata.open(study.file)["dae"]
    arrays, tensors = dae.tensors("weights"), dae.torch("weights")
    assert set(arrays) == set(tensors)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor.numpy(), arrays[name])
