"""Finds the binary `strata`, and asks it for JSON."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

from ._errors import BinaryError


def find() -> Path:
    """Returns the binary: the one that `STRATA_BINARY` names, else that of this package's wheel, else one on PATH.

    Raises:
        BinaryError: there is none.
    """
    named = os.environ.get("STRATA_BINARY")
    if named:
        return Path(named)
    try:
        installed = files("strata-lab") or []
    except PackageNotFoundError:
        installed = []
    for file in installed:
        path = Path(os.path.abspath(file.locate()))
        if file.name == "strata" and path.is_file():
            return path
    found = shutil.which("strata")
    if found is None:
        message = "the binary `strata` is not installed; `pip install strata-lab` brings it, or STRATA_BINARY names one"
        raise BinaryError(message)
    return Path(found)


def ask(words: Sequence[str]) -> dict[str, Any]:
    """Runs the binary with `--output json`, and returns its answer.

    Raises:
        BinaryError: it cannot be started, or refuses. The message is its own.
    """
    command = [str(find()), *words, "--output", "json", "--color", "never", "--quiet"]
    try:
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        raise BinaryError(f"{command[0]} cannot be started: {error.strerror}") from None
    if ran.returncode != 0:
        message = ran.stderr.decode(errors="replace").strip()
        if message.startswith("error: "):
            message = message[len("error: ") :]
        raise BinaryError(message or f"strata ended with {ran.returncode}", ran.returncode)
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def real(value: Any) -> float:
    """Returns a number from JSON, where NaN and infinities are strings."""
    return float("nan") if value is None else float(value)
