"""A stage that strata runs as a program: its inputs, parameters and outputs, and what it reports."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from . import _request
from ._artifact import Artifact, FileArtifact
from ._errors import StrataError
from ._events import Events, number, whole
from ._outputs import Outputs
from ._request import PortFile

if TYPE_CHECKING:
    import torch


def stage(request: str | os.PathLike[str] | None = None, *, graceful: bool = False) -> Stage:
    """Returns the stage that this program was started for, to be used in a `with` statement.

    Args:
        request: the file of the request. By default it is the word after `--request` on the command line, or what
            strata says in `STRATA_REQUEST`.
        graceful: SIGTERM (strata asks the program to stop) sets `Stage.stopping` instead of ending the program. The
            program must look at it, save its state and end with `sys.exit(130)` within ten seconds.

    Raises:
        RequestError: there is no request (the message says how to try a program by hand), or it cannot be read.
    """
    return Stage(_request.read(_request.find(request)), graceful=graceful)


class Inputs(Mapping[str, Artifact]):
    """The inputs by port. Inputs that may be left out are missing if nothing is joined to them."""

    def __init__(self, ports: Mapping[str, PortFile]) -> None:
        """Takes the files at the ports."""
        self._ports = ports

    def __getitem__(self, port: str) -> Artifact:
        """Opens an input: a mapping from the names of its tensors to arrays, with `attributes` and `path`.

        An input of the form `file` has only its `path`.

        Raises:
            KeyError: nothing is joined to this port, or there is no such port.
        """
        if port not in self._ports:
            names = ", ".join(f"`{name}`" for name in self._ports) or "none"
            raise KeyError(f"no input `{port}`; there are {names}")
        file = self._ports[port]
        return FileArtifact(file.path) if file.form == "file" else Artifact.read(file.path)

    def __iter__(self) -> Iterator[str]:
        """Goes through the names of the ports."""
        return iter(self._ports)

    def __len__(self) -> int:
        """Returns the number of inputs."""
        return len(self._ports)

    def __contains__(self, port: object) -> bool:
        """Returns whether something is joined to a port."""
        return port in self._ports

    def torch(self, port: str) -> dict[str, torch.Tensor]:
        """Returns the tensors of an input as PyTorch tensors on the CPU. `KeyError` if there is no such input."""
        return self[port].torch()


class Stage:
    """A stage that strata runs as this program. Used in a `with` statement, it writes its outputs at the end.

    Attributes:
        name: `PIPELINE/INSTANCE`.
        kind: the kind that is declared in the pipeline file.
        inputs: the artifacts at the input ports.
        outputs: set these; they are written when the `with` block ends without an exception.
        params: the parameters after defaults.
        seed: the parameter `seed`, or 0.
        threads: how many threads the program may use; `OMP_NUM_THREADS` says the same.
        gpus: the numbers of the GPUs that it may use, on this machine. `CUDA_VISIBLE_DEVICES` hides all others, so for
            PyTorch the first of them is `cuda:0`.
        state: a folder that survives kills and is given again to the same work, or None if the kind does not `extend`.
        stopping: True once strata has asked the program to stop; set only for `strata.stage(graceful=True)`.
    """

    def __init__(self, request: _request.Request, *, graceful: bool = False) -> None:
        """Makes the stage of a request; `strata.stage()` finds and reads it."""
        self.name = request.stage
        self.kind = request.kind
        self.inputs = Inputs(request.inputs)
        self.outputs = Outputs(request.outputs)
        self.params: dict[str, Any] = request.params
        self.seed = request.seed
        self.threads = request.threads
        self.gpus = request.gpus
        self.state: Path | None = request.state
        self.stopping = False
        self._events = Events(request.events)
        self._graceful = graceful
        self._handler: Any = None

    def __enter__(self) -> Stage:
        """Starts to listen to SIGTERM, if that was asked for."""
        if self._graceful:
            self._handler = signal.signal(signal.SIGTERM, self._stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Writes the outputs, unless there was an exception.

        Raises:
            OutputError: an output was not set.
        """
        if self._graceful:
            signal.signal(signal.SIGTERM, self._handler)
        if kind is None:
            self.outputs.write()

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def torch(self, port: str) -> dict[str, torch.Tensor]:
        """Returns the tensors of an input as PyTorch tensors on the CPU. `KeyError` if there is no such input."""
        return self.inputs.torch(port)

    def output_path(self, port: str) -> Path:
        """Returns the file of an output, for a program that writes it itself; it need not be set then.

        Raises:
            OutputError: there is no such output.
        """
        return self.outputs.path(port)

    def metric(self, name: str, value: Any) -> None:
        """Reports a final number. The last value of a name counts; NaN and infinities make strata fail the stage."""
        self._events.say(metric=name, value=number(value))

    def point(self, series: str, epoch: int, value: Any) -> None:
        """Reports a point of a curve."""
        self._events.say(series=series, epoch=whole("epoch", epoch), value=number(value))

    def progress(self, done: int, total: int, unit: str = "step") -> None:
        """Reports how far the work is, for the display."""
        self._events.say(progress=whole("done", done), total=whole("total", total), unit=unit)

    def warning(self, text: str) -> None:
        """Keeps a reason to read the result with care. strata shows it whenever the result is used."""
        self._events.say(warning=text)

    def saved(self, epoch: int) -> None:
        """Says that the folder `state` is consistent now and holds the work up to this epoch.

        Raises:
            StrataError: the stage has no such folder.
        """
        if self.state is None:
            raise StrataError(f"this stage keeps no state: the kind `{self.kind}` must declare `extend`")
        self._events.say(saved={"epoch": whole("epoch", epoch)})
