"""The outputs of a program: checked when they are set, written when its `with` block ends."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Union

from safetensors.numpy import save_file

from ._artifact import Artifact, FileArtifact, as_array
from ._errors import OutputError
from ._forms import fit
from ._request import PortFile

# What can be set: tensors by name, or the bytes or the path of a file.
Output = Union[Mapping[str, Any], bytes, str, "os.PathLike[str]"]


class Outputs(MutableMapping[str, Output]):
    """The outputs by port. Setting one checks it, and nothing is written before the `with` block ends without error."""

    def __init__(self, ports: Mapping[str, PortFile]) -> None:
        """Takes the declared ports."""
        self._ports = ports
        self._set: dict[str, Output] = {}

    def __setitem__(self, port: str, value: Output) -> None:
        """Sets an output.

        Args:
            port: the name of the output.
            value: tensors by name (a mapping, or an `Artifact` for attributes as well). For the form `file`: bytes, or
                the path of a file, which is copied.

        Raises:
            OutputError: there is no such output, or the value does not fit its form.
        """
        form = self._port(port).form
        if form == "file":
            if isinstance(value, FileArtifact):
                value = value.path
            if not isinstance(value, (bytes, bytearray, str, os.PathLike)):
                raise OutputError(f"the output `{port}` is a file: set it to bytes or a path, not {_type(value)}")
            self._set[port] = bytes(value) if isinstance(value, bytearray) else value
            return
        if not isinstance(value, Mapping):
            raise OutputError(
                f"the output `{port}` has the form {form}: set it to tensors by name, such as "
                f'{{"{_EXAMPLE.get(form, "name")}": array}}, not {_type(value)}'
            )
        try:
            tensors = {name: fit(form, name, as_array(tensor)) for name, tensor in value.items()}
            attributes = value.attributes if isinstance(value, Artifact) else {}
            json.dumps(attributes, allow_nan=False)
        except OutputError as error:
            raise OutputError(f"the output `{port}`: {error}") from None
        except (TypeError, ValueError) as error:
            raise OutputError(f"the output `{port}` cannot be kept: {error}") from None
        self._set[port] = Artifact(tensors, attributes)

    def __getitem__(self, port: str) -> Output:
        """Returns what was set. `KeyError` if nothing was."""
        return self._set[port]

    def __delitem__(self, port: str) -> None:
        """Takes back what was set."""
        del self._set[port]

    def __iter__(self) -> Iterator[str]:
        """Goes through the outputs that are set."""
        return iter(self._set)

    def __len__(self) -> int:
        """Returns the number of outputs that are set."""
        return len(self._set)

    def path(self, port: str) -> Path:
        """Returns the file that an output is written to; a program may also write it itself.

        Raises:
            OutputError: there is no such output.
        """
        return self._port(port).path

    def write(self) -> None:
        """Writes everything that is set: first beside its place, then all of it is renamed.

        Raises:
            OutputError: an output is missing. Nothing is written then.
            OSError: a file cannot be written, or a path that was set is not there.
        """
        required = [port for port, file in self._ports.items() if not file.optional and port not in self._set]
        missing = [port for port in required if not self._ports[port].path.exists()]
        if missing:
            names = ", ".join(f"`{port}`" for port in missing)
            example = f'set stage.outputs["{missing[0]}"] before the `with` block ends'
            raise OutputError(f"nothing was set for the output{'s' * (len(missing) > 1)} {names}: {example}")
        beside = {port: self._beside(port) for port in self._set}
        try:
            for port, value in self._set.items():
                _write(beside[port], value)
            for port, half in beside.items():
                half.replace(self._ports[port].path)
        finally:
            for half in beside.values():
                half.unlink(missing_ok=True)

    def _port(self, port: str) -> PortFile:
        if port not in self._ports:
            names = ", ".join(f"`{name}`" for name in self._ports)
            raise OutputError(f"this program has no output `{port}`; its kind declares {names}")
        return self._ports[port]

    def _beside(self, port: str) -> Path:
        place = self._ports[port].path
        return place.with_name(f".{place.name}.half")


# The name of a tensor in an example of each form.
_EXAMPLE = {"images": "images", "features": "p3", "labels": "labels", "batches": "batches", "matrix": "map"}


def _write(path: Path, value: Output) -> None:
    if isinstance(value, Artifact):
        save_file(dict(value.items()), path, {"strata": json.dumps(value.attributes)})
    elif isinstance(value, bytes):
        path.write_bytes(value)
    elif isinstance(value, (str, os.PathLike)):
        shutil.copyfile(value, path)


def _type(value: object) -> str:
    return f"a {type(value).__name__}"
