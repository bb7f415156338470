"""The result of one instance: its numbers, its outputs, and what it printed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._artifact import Artifact
from ._binary import real
from ._errors import StrataError, UnknownResult

if TYPE_CHECKING:
    import torch


class Result:
    """A cached result. It stays as it is, even if the pipeline file changes.

    Attributes:
        instance: `STAGE`, or `STAGE@axis=value,…`.
        stage: the stage in the file.
        kind: its kind.
        axes: the values of the axes that reach it.
        key: the name of the result in the cache.
        params: all parameters after defaults.
        metrics: the final numbers.
        series: the curves: for each name a list of (epoch, value).
        warnings: reasons to read the result with care.
        log: what the stage printed; None if nothing is kept.
        outputs: the names of its outputs.
    """

    def __init__(self, entry: Mapping[str, Any], command: str) -> None:
        """Makes it of an entry of `strata log --output json`; `command` would make the result again."""
        self.instance: str = entry["instance"]
        self.stage: str = entry["stage"]
        self.kind: str = entry["kind"]
        self.axes: dict[str, Any] = entry["axes"]
        self.key: str = entry["key"]
        self.params: dict[str, Any] = entry["params"]
        self.metrics = {name: real(value) for name, value in entry["metrics"].items()}
        self.series = {
            name: [(int(epoch), real(value)) for epoch, value in points] for name, points in entry["series"].items()
        }
        self.warnings: list[str] = entry["warnings"]
        self.log: str | None = entry["log"]
        self._outputs: dict[str, Any] = entry["outputs"]
        self._command = command

    @property
    def outputs(self) -> list[str]:
        """The names of its outputs."""
        return list(self._outputs)

    def path(self, port: str) -> Path:
        """Returns the file of an output in the cache, which must not be written to.

        Raises:
            UnknownResult: (a `KeyError`) there is no such output, or its bytes are no longer in the cache.
        """
        if port not in self._outputs:
            names = ", ".join(f"`{name}`" for name in self._outputs) or "none"
            raise UnknownResult(f"`{self.instance}` has no output `{port}`; there are {names}")
        path = self._outputs[port]["path"]
        if path is None:
            message = f"the bytes of `{self.instance}.{port}` are no longer in the cache folder"
            raise UnknownResult(f"{message}; `{self._command}` makes them again")
        return Path(path)

    def tensors(self, port: str) -> Artifact:
        """Returns the tensors of an output as NumPy arrays by name, mapped when they are used.

        Raises:
            UnknownResult: (a `KeyError`) there is no such output, or its bytes are no longer in the cache.
            StrataError: the output has the form `file`, which has no tensors.
        """
        path = self.path(port)
        if self._outputs[port]["form"] == "file":
            raise StrataError(f"`{self.instance}.{port}` is a plain file without tensors: open `.path({port!r})`")
        return Artifact.read(path)

    def torch(self, port: str) -> dict[str, torch.Tensor]:
        """Returns the tensors of an output as PyTorch tensors on the CPU by name. Raises the errors of `tensors`."""
        return self.tensors(port).torch()

    def attributes(self, port: str) -> dict[str, Any]:
        """Returns the attributes of an output, such as `classes`. Raises the errors of `tensors`."""
        return self.tensors(port).attributes

    def __repr__(self) -> str:
        """Returns the instance and its metrics."""
        metrics = ", ".join(f"{name}={value:.4g}" for name, value in self.metrics.items())
        return f"<Result {self.instance}{': ' if metrics else ''}{metrics}>"
