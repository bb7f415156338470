"""An experiment in a notebook: its tables, curves and results, from the cache."""

from __future__ import annotations

import os
import shlex
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _binary, _frames
from ._errors import BinaryError, StrataError, UnknownResult
from ._result import Result

if TYPE_CHECKING:
    import pandas

    from ._images import Images


def open(
    file: str | os.PathLike[str],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    set: Iterable[str] = (),
    sweep: str | None = None,
    variant: str | Iterable[str] | None = None,
    seeds: int | None = None,
) -> Lab:
    """Opens the experiment of a pipeline file. Nothing runs: it shows what is in the cache now, at every call.

    Args:
        file: the pipeline file.
        cache_dir: the cache folder; by default `cache/` in the project.
        set: overrides such as `"simclr.temperature=0.5"`, as with `-S`.
        sweep: the sweep to use, one of `[sweep.NAME]`.
        variant: the variants to use.
        seeds: repeat over this many seeds.

    Raises:
        FileNotFoundError: there is no such file.
    """
    path = Path(file).absolute()
    if not path.is_file():
        raise FileNotFoundError(f"there is no pipeline file {path}")
    options: list[str] = []
    for override in (set,) if isinstance(set, str) else set:
        options += ["-S", override]
    if sweep is not None:
        options += ["--sweep", sweep]
    if variant is not None:
        options += ["--variant", variant if isinstance(variant, str) else ",".join(variant)]
    if seeds is not None:
        options += ["--seeds", str(seeds)]
    if cache_dir is not None:
        options += ["--cache-dir", str(Path(cache_dir).absolute())]
    return Lab(path, options)


class Lab:
    """The results of an experiment. `strata.open` makes it."""

    def __init__(self, file: Path, options: list[str]) -> None:
        """Takes the pipeline file and the options of each command."""
        self._file = file
        self._options = options

    def table(self, *targets: str) -> pandas.DataFrame:
        """Returns the results: a row for each cached instance with metrics, a column for each axis and metric.

        Args:
            targets: stages, instances or `STAGE@axis=value,…`; by default all.

        Raises:
            BinaryError: the pipeline file has mistakes, or there is no such target. The message says where.
        """
        return self._table(targets)

    def history(self, *targets: str) -> pandas.DataFrame:
        """Returns every result that the cache holds of this file, whatever run made it: a row for each.

        Columns are the stage, the instance, the key, when it was made (`finished`), the seconds that it took and the
        latest run that has it, then the parameters in which the rows differ, as `stage.parameter`, then the metrics.

        Args:
            targets: stages or instances; by default all.

        Raises:
            BinaryError: as in `table`; also if no result is of a target.
        """
        return self._table(targets, "--history")

    def series(self, target: str, name: str) -> pandas.DataFrame:
        """Returns a curve of all cached instances of a stage: columns instance, one for each axis, epoch and value.

        Args:
            target: a stage, an instance or `STAGE@axis=value,…`.
            name: the curve, such as `loss`.

        Raises:
            UnknownResult: (a `KeyError`) nothing of it is cached, or no instance has such a curve.
        """
        entries = [entry for entry in self._log(target)["stages"] if entry["cached"]]
        if not any(name in entry["series"] for entry in entries):
            known = sorted({curve for entry in entries for curve in entry["series"]})
            raise UnknownResult(f"`{target}` has no curve `{name}`; there are {', '.join(known) or 'none'}")
        return _frames.curves(entries, name)

    def __getitem__(self, instance: str) -> Result:
        """Returns the result of an instance: `STAGE`, or `STAGE@axis=value,…` if the stage has several.

        Raises:
            UnknownResult: (a `KeyError`) there is no such instance, it is not cached, or the name fits several. The
                message says what to do.
        """
        answer = self._log(instance)
        entries = answer["stages"]
        names = [entry["instance"] for entry in entries] + answer["missing"]
        if len(names) > 1 and instance not in names:
            listed = ", ".join(f"`{name}`" for name in names[:8]) + (", …" if len(names) > 8 else "")
            raise UnknownResult(f"`{instance}` has {len(names)} instances; name one of {listed}")
        entry = next((entry for entry in entries if entry["instance"] == instance), entries[0])
        run = self._command("run", entry["instance"])
        if not entry["cached"]:
            message = f"`{instance}` has no result: its last run failed or was stopped"
            raise UnknownResult(f"{message} (see {entry['path']}); `{run}` runs it")
        return Result(entry, run)

    def images(self, name: str, *, transform: Callable[[Any], Any] | None = None, draw: int = 0) -> Images:
        """Returns an images output as a `torch.utils.data.Dataset`. Needs PyTorch.

        Args:
            name: `INSTANCE.PORT`, such as `images.train`.
            transform: applied to each image, a tensor [C, H, W]: uint8, or float16 in [0, 1] if it has noise.
            draw: which of the noisy draws of each image is taken, if there are several.

        Raises:
            UnknownResult: (a `KeyError`) there is no such output, or it is not cached.
            StrataError: the output holds no images.
        """
        instance, dot, port = name.rpartition(".")
        if not dot:
            raise StrataError(f"`{name}` must name an output too: INSTANCE.PORT, such as `images.train`")
        path = self[instance].path(port)
        from ._images import Images

        return Images(path, transform=transform, draw=draw)

    def __repr__(self) -> str:
        """Returns the file and the options."""
        return f"strata.open({str(self._file)!r}{', …' if self._options else ''})"

    def _table(self, targets: Iterable[str], *options: str) -> pandas.DataFrame:
        answer = _binary.ask(["table", str(self._file), *targets, *options, *self._options])
        if not answer["rows"]:
            warnings.warn(f"no results are cached; `{self._command('run', *targets)}` makes them", stacklevel=3)
        return _frames.table(answer["rows"])

    def _log(self, target: str) -> dict[str, Any]:
        """What is kept of the instances of a target; `UnknownResult` if nothing is."""
        try:
            answer = _binary.ask(["log", str(self._file), target, *self._options])
        except BinaryError as error:
            # If the file is right, it was the target that is not.
            try:
                _binary.ask(["plan", str(self._file), *self._options])
            except BinaryError:
                raise error from None
            raise UnknownResult(str(error)) from None
        if "missing" not in answer:
            raise BinaryError(f"{_binary.find()} is older than this package; install the strata-lab that belongs to it")
        return answer

    def _command(self, verb: str, *targets: str) -> str:
        return shlex.join(["strata", verb, str(self._file), *targets, *self._options])
