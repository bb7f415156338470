"""What a program says while it runs: JSON lines in its events file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any


class Events:
    """Appends lines to the events file. Each line is one write, so several processes may write."""

    def __init__(self, path: Path) -> None:
        """Remembers the file, which is opened for each line."""
        self._path = path

    def say(self, **event: Any) -> None:
        """Appends a line."""
        with self._path.open("ab", buffering=0) as file:
            file.write(json.dumps(event, allow_nan=False).encode() + b"\n")


def number(value: Any) -> float | str:
    """Returns a number of Python, NumPy or PyTorch as JSON has it: NaN and infinities are strings."""
    real = float(value)
    if math.isfinite(real):
        return real
    return "NaN" if math.isnan(real) else "Infinity" if real > 0 else "-Infinity"


def whole(name: str, value: Any) -> int:
    """Returns a whole number from 0 up.

    Raises:
        ValueError: it is something else. The message calls it `name`.
    """
    if int(value) != value or value < 0:
        raise ValueError(f"`{name}` must be a whole number from 0 up, and is {value!r}")
    return int(value)
