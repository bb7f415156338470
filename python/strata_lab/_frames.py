"""Answers of the binary as data frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ._binary import real
from ._errors import StrataError

if TYPE_CHECKING:
    import pandas


def table(rows: Iterable[Mapping[str, Any]]) -> pandas.DataFrame:
    """Returns rows of results: the fields of a row, its axes or parameters, its metrics and differences, as columns.

    A metric whose name is that of another column is called `metric NAME`.
    """
    flat = []
    for row in rows:
        columns = {name: value for name, value in row.items() if not isinstance(value, Mapping)}
        columns.update(row.get("axes", {}))
        columns.update(row.get("parameters", {}))
        for group, word in (("metrics", "metric"), ("differences", "difference")):
            for name, value in row.get(group, {}).items():
                taken = name in columns or group == "differences"
                columns[f"{word} {name}" if taken else name] = real(value)
        flat.append(columns)
    return _pandas().DataFrame(flat, columns=_order(flat))


def curves(entries: Iterable[Mapping[str, Any]], name: str) -> pandas.DataFrame:
    """Returns the points of the curve `name` of each entry of `strata log`."""
    flat = [
        {"instance": entry["instance"], **entry["axes"], "epoch": int(epoch), "value": real(value)}
        for entry in entries
        for epoch, value in entry["series"].get(name, [])
    ]
    axes = [column for column in _order(flat) if column not in ("instance", "epoch", "value")]
    return _pandas().DataFrame(flat, columns=["instance", *axes, "epoch", "value"])


def _order(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """All columns, in the order in which they first appear."""
    return list(dict.fromkeys(column for row in rows for column in row))


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise StrataError("tables need pandas: pip install 'strata-lab[pandas]'") from None
    return pandas
