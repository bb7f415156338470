"""The tensors of a safetensors file as NumPy arrays, without reading more of it than is used."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._errors import StrataError

Array = NDArray[Any]

# The types of safetensors that NumPy has.
_DTYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
}
# The size of the number before the header, and the longest header that is read.
_HEAD, _LONGEST_HEADER = 8, 100 << 20


class Tensors(Mapping[str, Array]):
    """The tensors of a file by name. Only the header is read at first; an array is mapped when it is asked for.

    Arrays are mapped copy-on-write: changing one changes neither the file nor the array that the next access returns.
    """

    def __init__(self, path: Path) -> None:
        """Reads the header.

        Raises:
            StrataError: the file is no safetensors file.
            OSError: it cannot be read.
        """
        self.path = path
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(_HEAD), "little")
            if size < _HEAD or length > min(size - _HEAD, _LONGEST_HEADER):
                raise StrataError(f"{path} is not a safetensors file")
            try:
                header = json.loads(file.read(length))
                metadata: dict[str, str] = header.pop("__metadata__", {})
                self._entries: dict[str, tuple[str, tuple[int, ...], int]] = {
                    name: (entry["dtype"], tuple(entry["shape"]), _HEAD + length + entry["data_offsets"][0])
                    for name, entry in header.items()
                }
                self.attributes: dict[str, Any] = json.loads(metadata.get("strata", "{}"))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise StrataError(f"{path} is not a safetensors file of strata: {error}") from None

    def __getitem__(self, name: str) -> Array:
        """Returns a tensor.

        Raises:
            KeyError: there is none of this name; the message has the names.
            StrataError: NumPy has no such type.
        """
        if name not in self._entries:
            raise KeyError(f"no tensor `{name}`; there are {', '.join(self._entries) or 'none'}")
        word, shape, offset = self._entries[name]
        if word not in _DTYPES:
            raise StrataError(f"the tensor `{name}` is {word}, which NumPy does not have; `.torch` reads it")
        dtype = np.dtype(_DTYPES[word])
        if 0 in shape:
            return np.empty(shape, dtype)
        mapped = np.memmap(self.path, dtype, mode="c", offset=offset, shape=shape or (1,))
        return mapped.reshape(shape).view(np.ndarray)

    def __iter__(self) -> Iterator[str]:
        """Goes through the names."""
        return iter(self._entries)

    def __len__(self) -> int:
        """Returns the number of tensors."""
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        """Returns whether there is a tensor of this name, without mapping it."""
        return name in self._entries
