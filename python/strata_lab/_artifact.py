"""Artifacts: named tensors with JSON attributes, as stages pass them to each other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import safe_open

from ._errors import StrataError
from ._tensors import Array, Tensors

if TYPE_CHECKING:
    import torch


class Artifact(Mapping[str, Array]):
    """Named tensors with JSON attributes. It is a mapping from names to NumPy arrays.

    The artifact of an input or of a result is read lazily: an array is mapped into memory when it is asked for, and
    changing it does not change the file.

    Attributes:
        attributes: what belongs to the tensors, such as the names of the `classes`; anything that JSON can hold.
    """

    def __init__(self, tensors: Mapping[str, Any], attributes: Mapping[str, Any] | None = None) -> None:
        """Makes an artifact of arrays, PyTorch tensors or lists of numbers.

        Args:
            tensors: the tensors by name.
            attributes: its attributes; by default those of `tensors` if that is an artifact, else none.
        """
        if attributes is None:
            attributes = tensors.attributes if isinstance(tensors, Artifact) else {}
        self.attributes: dict[str, Any] = dict(attributes)
        self._tensors: Mapping[str, Any] = tensors._tensors if isinstance(tensors, Artifact) else dict(tensors)
        self._path: Path | None = tensors._path if isinstance(tensors, Artifact) else None

    @classmethod
    def read(cls, path: str | Path) -> Artifact:
        """Opens a safetensors file.

        Raises:
            StrataError: it is no safetensors file.
            OSError: it cannot be read.
        """
        tensors = Tensors(Path(path))
        made = cls({}, tensors.attributes)
        made._tensors, made._path = tensors, tensors.path
        return made

    @property
    def path(self) -> Path:
        """The file that holds it, which must not be written to.

        Raises:
            StrataError: it was made in memory.
        """
        if self._path is None:
            raise StrataError("this artifact was made in memory and has no file")
        return self._path

    def torch(self) -> dict[str, torch.Tensor]:
        """Returns all tensors as PyTorch tensors on the CPU, copied to memory, with the types that the file has.

        Labels are `torch.uint32`, or `torch.int64` before PyTorch 2.3, which does not know that type; most functions of
        PyTorch want them as `labels.long()`.
        """
        import torch

        def of_array(value: Any) -> torch.Tensor:
            is_label = isinstance(value, np.ndarray) and value.dtype == np.uint32
            return torch.as_tensor(value.astype(np.int64) if is_label and not hasattr(torch, "uint32") else value)

        if not isinstance(self._tensors, Tensors):
            return {name: of_array(value) for name, value in self._tensors.items()}
        with safe_open(self._tensors.path, "pt") as file:
            is_label = {name: file.get_slice(name).get_dtype() == "U32" for name in self._tensors}
            return {
                name: of_array(np.array(self[name])) if label else file.get_tensor(name)
                for name, label in is_label.items()
            }

    def __getitem__(self, name: str) -> Array:
        """Returns a tensor as an array. `KeyError` if there is none of this name."""
        return as_array(self._tensors[name])

    def __iter__(self) -> Iterator[str]:
        """Goes through the names of the tensors."""
        return iter(self._tensors)

    def __len__(self) -> int:
        """Returns the number of tensors."""
        return len(self._tensors)

    def __contains__(self, name: object) -> bool:
        """Returns whether there is a tensor of this name, without reading it."""
        return name in self._tensors

    def __repr__(self) -> str:
        """Returns the names of the tensors and of the attributes."""
        return f"Artifact({', '.join(self._tensors)}; attributes: {json.dumps(list(self.attributes))})"


class FileArtifact(Artifact):
    """What is at an input of the form `file`: any bytes. Only its `path` is of use."""

    def __init__(self, path: Path) -> None:
        """Makes it of a path, without opening the file."""
        super().__init__({})
        self._path = path

    def __getitem__(self, name: str) -> Array:
        """Explains that there are no tensors."""
        raise StrataError(f"{self.path} is a plain file without tensors; open its `.path`")

    def torch(self) -> dict[str, torch.Tensor]:
        """Explains that there are no tensors."""
        raise StrataError(f"{self.path} is a plain file without tensors; open its `.path`")


def as_array(value: Any) -> Array:
    """Returns an array, PyTorch tensor or list of numbers as an array.

    Floats that NumPy does not have (bfloat16, 8-bit floats) become float32, which holds them exactly.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if value.is_floating_point() and str(value.dtype) not in ("torch.float16", "torch.float32", "torch.float64"):
            value = value.float()
        value = value.numpy()
    return np.asarray(value)
