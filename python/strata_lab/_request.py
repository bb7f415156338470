"""The request: what strata asks a program to do."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._errors import RequestError

# The version of the request's format that this package reads.
_VERSION = 1


@dataclass(frozen=True)
class PortFile:
    """A file at a port, and the form of what it holds."""

    path: Path
    form: str
    optional: bool


@dataclass(frozen=True)
class Request:
    """A request as it is written. The interface of programs (`docs/own-kinds.md`) describes each field."""

    stage: str
    kind: str
    params: dict[str, Any]
    inputs: dict[str, PortFile]
    outputs: dict[str, PortFile]
    seed: int
    threads: int
    gpus: list[int]
    state: Path | None
    events: Path


def find(given: str | os.PathLike[str] | None) -> Path:
    """Returns the file of the request: the one that is given, or that follows `--request`, or that strata names.

    Raises:
        RequestError: there is none. The message says how to try a program by hand.
    """
    if given is not None:
        return Path(given)
    for at, word in enumerate(sys.argv[1:], start=1):
        if word == "--request" and at + 1 < len(sys.argv):
            return Path(sys.argv[at + 1])
        if word.startswith("--request="):
            return Path(word[len("--request=") :])
    named = os.environ.get("STRATA_REQUEST")
    if named:
        return Path(named)
    program = Path(sys.argv[0]).name or "PROGRAM"
    raise RequestError(
        "strata runs this program, and says in a file what it should do; no such file was given. To try it by hand, "
        "with your own files as its inputs:\n\n"
        "    strata try KIND --input features=FILE\n\n"
        f"where KIND is the kind that runs it. `{program} --request FILE` takes a request that you wrote or kept."
    )


def read(path: Path) -> Request:
    """Reads a request.

    Raises:
        RequestError: it cannot be read, or has a format that this package does not know.
    """
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if fields["version"] != _VERSION:
            message = f"the request {path} has version {fields['version']}; this strata_lab reads version {_VERSION}"
            raise RequestError(f"{message}, so install the strata-lab that belongs to the binary")
        state = fields["state"]
        return Request(
            stage=fields["stage"],
            kind=fields["kind"],
            params=fields["params"],
            inputs=_ports(fields["inputs"]),
            outputs=_ports(fields["outputs"]),
            seed=fields["seed"],
            threads=fields["threads"],
            gpus=fields["gpus"],
            state=None if state is None else Path(state),
            events=Path(fields["events"]),
        )
    except OSError as error:
        raise RequestError(f"the request {path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RequestError(f"{path} is not a request of strata: {type(error).__name__}: {error}") from None


def _ports(ports: dict[str, Any]) -> dict[str, PortFile]:
    def file(port: dict[str, Any]) -> PortFile:
        return PortFile(Path(port["path"]), port["form"], port.get("optional", False))

    return {name: file(port) for name, port in ports.items()}
