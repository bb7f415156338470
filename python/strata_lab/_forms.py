"""What tensors must be like in the outputs of each form, and how they are made so where nothing is lost.

`strata schema --form FORM` prints the forms. strata checks outputs once more when the program ends; checking them here
puts the error on the line that sets the output.
"""

from __future__ import annotations

import numpy as np

from ._errors import OutputError
from ._tensors import Array

# For each form and tensor: the types and shapes that it may have. None stands for any other name.
_LAYOUTS: dict[str, dict[str | None, list[tuple[str, str]]]] = {
    "images": {
        "images": [("uint8", "[N, C, H, W]"), ("float16", "[draws, N, C, H, W]")],
        "labels": [("uint32", "[N]")],
    },
    "features": {None: [("float32", "[N, D]")], "labels": [("uint32", "[N]")]},
    "labels": {
        "labels": [("uint32", "[N]")],
        "confidence": [("float32", "[N]")],
        "truth": [("uint32", "[N]")],
    },
    "batches": {"batches": [("uint32", "[rounds, batches, batch_size]")]},
}
# The types that artifacts hold, and what the others become.
_STORED = {"uint8", "uint32", "int16", "int32", "int64", "float16", "float32", "float64"}
_WIDER = {"bool": "uint8", "int8": "int16", "uint16": "uint32", "uint64": "int64"}


def fit(form: str, name: str, array: Array) -> Array:
    """Returns an array as the tensor `name` of an artifact of a form, contiguous and little-endian.

    Types are converted where every value stays what it is: int64 labels become uint32 if they are from 0 to 4294967295.
    Floats become float32 where the form wants that, rounded.

    Raises:
        OutputError: the array has another shape, or values that the type cannot hold. The message says which.
    """
    layout = _LAYOUTS.get(form)
    if layout is None:
        return _contiguous(_any(name, array))
    allowed = layout.get(name, layout.get(None))
    if allowed is None:
        names = " and ".join(f"`{known}`" for known in layout if known)
        raise OutputError(f"an artifact of the form {form} has no tensor `{name}`: its tensors are {names}")
    for dtype, shape in allowed:
        if array.ndim == len(shape.split(",")):
            return _contiguous(_converted(name, array, dtype))
    words = " or ".join(f"{dtype} {shape}" for dtype, shape in allowed)
    raise OutputError(f"the tensor `{name}` must be {words}, and is {array.dtype} {list(array.shape)}")


def _any(name: str, array: Array) -> Array:
    if array.dtype.name in _STORED:
        return array
    if array.dtype.name in _WIDER:
        return _converted(name, array, _WIDER[array.dtype.name])
    raise OutputError(f"the tensor `{name}` has the type {array.dtype}, which artifacts cannot hold")


def _converted(name: str, array: Array, to: str) -> Array:
    if array.dtype.name == to:
        return array
    if array.dtype.kind not in "buif":
        raise OutputError(f"the tensor `{name}` must be {to}, and is {array.dtype}, which is no number")
    dtype = np.dtype(to)
    if dtype.kind in "ui" and array.size:
        low, high, bounds = array.min(), array.max(), np.iinfo(dtype)
        if not (low >= bounds.min and high <= bounds.max):
            span = f"from {bounds.min} to {bounds.max}"
            raise OutputError(f"the tensor `{name}` must be {to}, {span}, and has values from {low} to {high}")
    with np.errstate(over="ignore"):
        made = array.astype(dtype)
    if to == "float32" and array.dtype.kind == "f":
        if np.isinf(made).sum() > np.isinf(array).sum():
            raise OutputError(f"the tensor `{name}` has values that are too large for float32")
    elif not np.array_equal(made, array, equal_nan=made.dtype.kind == "f" and array.dtype.kind == "f"):
        message = f"the tensor `{name}` must be {to}, and is {array.dtype} with values that {to} cannot hold"
        raise OutputError(f"{message}; convert it with `.astype(numpy.{to})` if they may be rounded")
    return made


def _contiguous(array: Array) -> Array:
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
