"""Tables for the commands: columns of numbers and of names as inputs, one column as the target."""

import csv
import math
import os
import re

import numpy as np

from rushlight.cli.errors import CommandError, told
from rushlight.ops.creation import from_numpy
from rushlight.utils.data import TensorDataset
from rushlight.vision.datasets.table import _MISSING, _numbers, read_table

_WITH_COMMA = re.compile(r"[-+]?\d*(,\d+)+(\.\d*)?")
_MOST_NAMES = 50  # a column of more different texts describes single rows


def read_cells(path: str, delimiter: str, names=None) -> dict[str, list[str]]:
    """The cells of a CSV file by column.

    Args:
        path: the file.
        delimiter: between the columns; "auto" for what its first line has most of.
        names: of the columns, where the first line doesn't give them.
    Raises:
        CommandError: there is no such file, or no table in it.
    """
    if not os.path.isfile(path):
        raise CommandError(f"{path}: {'a CSV file expected' if os.path.exists(path) else 'no such file'}")
    with told():
        table = read_table(path, _delimiter(path, delimiter), names)
    if not next(iter(table.values())):
        raise CommandError(f"{path}: there are no rows below the names of the columns")
    return table


def new_cells(path: str, described: dict) -> dict[str, list[str]]:
    """The cells of another file with the columns of a run's; without names in its first line, the target may be absent.

    Raises:
        CommandError: there is no such file, or no table in it.
    """
    header = described.get("header")
    if header and os.path.isfile(path):
        first = next(csv.reader([_first_line(path)], delimiter=_delimiter(path, described["delimiter"])), [])
        if len(first) == len(header) - 1:
            header = [name for name in header if name != described["target"]]
    return read_cells(path, described["delimiter"], header)


def _first_line(path: str) -> str:
    with told(), open(path, encoding="utf-8-sig", errors="replace") as file:
        return file.readline(1 << 16)


def _delimiter(path: str, given: str) -> str:
    """What stands between columns: "auto" is what the first line has most of."""
    if given == "auto":
        outside = "".join(_first_line(path).split('"')[::2])
        return max(",;\t|", key=outside.count)
    given = "\t" if given in ("\\t", "tab") else given
    if len(given) != 1 or given in '\r\n"':
        raise CommandError(f"--delimiter: one character expected, got {given!r}")
    return given


def _missing(cell: str) -> bool:
    return cell.strip().lower() in _MISSING


def _digits(cell: str) -> bool:
    return _is_number(cell.replace(",", ""))


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _require(table: dict, path: str, names) -> None:
    for name in names:
        if name not in table:
            hint = (
                "; --columns names them where the first line doesn't" if any(map(_is_number, table)) else ""
            )
            raise CommandError(f"{path}: there is no column {name!r}; it has {', '.join(table)}{hint}")


def read(path: str, settings) -> tuple[dict, dict]:
    """A table, and what was decided about its columns.

    Args:
        path: the CSV file.
        settings: target, task, features, ignore, categorical, missing, delimiter, columns.
    Returns:
        The cells by column, and the description, still without means, deviations and names (`fit` adds them).
    Raises:
        CommandError: a column is missing, or holds what it may not.
    """
    table = read_cells(path, settings.delimiter, settings.columns)
    if not settings.target:
        raise CommandError(f"{path}: which column is to be predicted? --target, one of {', '.join(table)}")
    _require(
        table, path, [settings.target, *(settings.features or []), *settings.ignore, *settings.categorical]
    )
    names = settings.features or [n for n in table if n != settings.target and n not in settings.ignore]
    if settings.target in names:
        raise CommandError(f"--features: {settings.target!r} is the target")
    columns, left_out = [], []
    for name in names:
        kind = (
            "names"
            if name in settings.categorical
            else _kind(path, name, table[name], bool(settings.features))
        )
        if kind == "neither":
            left_out.append(name)
        else:
            columns.append({"name": name, "kind": kind})
    if not columns:
        why = f"; the texts of {', '.join(left_out)} differ from row to row" if left_out else ""
        raise CommandError(f"{path}: there is no column to predict {settings.target!r} from{why}")
    described = {
        "kind": "table", "target": settings.target, "columns": columns, "left_out": left_out, "missing": settings.missing,
        "delimiter": settings.delimiter, "header": settings.columns,
        "task": _task(path, settings, table[settings.target]),
    }  # fmt: skip
    return table, described


def _kind(path: str, name: str, cells: list[str], asked: bool) -> str:
    """What a column holds: numbers, names, or neither (texts that are different in nearly all rows)."""
    present = [cell for cell in cells if not _missing(cell)]
    numbers = sum(map(_is_number, present))
    if numbers == len(present):
        return "numbers"
    commas = next((cell for cell in present if _WITH_COMMA.fullmatch(cell.strip())), None)
    if commas is not None and all(map(_digits, present)):
        raise CommandError(f"{path}: column {name!r} holds {commas!r}, which is no number: write 1.5, and 1000 without "
                           f"a comma; if these are names: --categorical {name}")  # fmt: skip
    if numbers:
        with told():
            try:
                _numbers(path, name, cells)
            except ValueError as error:
                raise CommandError(f"{error}; if these are names: --categorical {name}") from error
    different = len(set(present))
    return "names" if asked or different <= max(2, min(_MOST_NAMES, len(present) // 2)) else "neither"


def _task(path: str, settings, cells: list[str]) -> str:
    present = [cell for cell in cells if not _missing(cell)]
    numbers = sum(map(_is_number, present))
    if settings.task == "regression" or (settings.task == "auto" and 0 < numbers < len(present)):
        with told():
            _numbers(path, settings.target, cells)
    if settings.task != "auto":
        return settings.task
    if not numbers:
        return "classification"
    values = {float(cell) for cell in present}
    return "classification" if len(values) <= 20 and all(v == int(v) for v in values) else "regression"


def fit(path: str, table: dict, described: dict, rows: np.ndarray, normalize: bool) -> None:
    """Add the means, deviations and names of the training rows to the description.

    Args:
        path: the file, for messages.
        table: its cells.
        described: what `read` returned.
        rows: numbers of the training rows.
        normalize: whether numbers are shifted and scaled.
    Raises:
        CommandError: a column has no values.
    """
    for column in described["columns"]:
        cells = [table[column["name"]][i] for i in rows]
        if column["kind"] == "names":
            column["names"] = sorted({cell.strip() for cell in cells if not _missing(cell)})
            continue
        values = _numbers(path, column["name"], cells)
        if np.isnan(values).all():
            raise CommandError(f"{path}: column {column['name']!r} has no values")
        mean, std = float(np.nanmean(values)), float(np.nanstd(values))
        column["fill"] = mean
        column["mean"], column["std"] = (mean, std if std > 0 else 1.0) if normalize else (0.0, 1.0)
    if described["task"] == "regression":
        values = _numbers(path, described["target"], [table[described["target"]][i] for i in rows])
        std = float(np.nanstd(values))
        if len(values) > 1 and np.nanmin(values) == np.nanmax(values):
            raise CommandError(f"{path}: the target {described['target']!r} has one value only")
        described["target_mean"], described["target_std"] = float(np.nanmean(values)), std if std > 0 else 1.0


def width(described: dict) -> int:
    """How many inputs the model gets."""
    return sum(len(column["names"]) if column["kind"] == "names" else 1 for column in described["columns"])


def inputs(path: str, table: dict, described: dict, rows) -> np.ndarray:
    """The inputs (rows, width) of some rows: numbers shifted and scaled, a 1 in the place of each name.

    Raises:
        CommandError: a column is missing or holds text where numbers are expected.
    """
    _require(table, path, [column["name"] for column in described["columns"]])
    parts = []
    for column in described["columns"]:
        cells = [table[column["name"]][i] for i in rows]
        if column["kind"] == "names":
            places = {name: i for i, name in enumerate(column["names"])}
            block = np.zeros((len(cells), len(places)))
            for i, cell in enumerate(cells):
                if cell.strip() in places:  # a name that is new, or missing, has no 1
                    block[i, places[cell.strip()]] = 1
            parts.append(block)
            continue
        with told():
            values = _numbers(path, column["name"], cells)
        values = np.where(np.isnan(values), column["fill"], values)
        parts.append(((values - column["mean"]) / column["std"])[:, None])
    return np.concatenate(parts, 1).astype(np.float32)


def rows_with_gaps(table: dict, described: dict) -> int:
    """In how many rows a value is missing."""
    cells = (table[column["name"]] for column in described["columns"])
    return sum(any(map(_missing, row)) for row in zip(*cells, strict=True))


def usable_rows(path: str, table: dict, described: dict) -> np.ndarray:
    """Numbers of the rows whose values are there, as the setting `missing` has it; the target always has to be.

    Raises:
        CommandError: values are missing, and that is an error.
    """
    names = [described["target"]]
    if described["missing"] != "mean":
        names += [column["name"] for column in described["columns"]]
    count = len(table[described["target"]])
    whole = np.ones(count, bool)
    for name in names:
        absent = np.array([_missing(cell) for cell in table[name]])
        if absent.any() and described["missing"] == "error":
            raise CommandError(
                f"{path}: column {name!r} has no value in row {int(absent.argmax()) + 1}; --missing drop or mean goes on"
            )
        whole &= ~absent
    if not whole.any():
        raise CommandError(f"{path}: no row has all values")
    return np.flatnonzero(whole)


def targets(path: str, table: dict, described: dict, rows) -> np.ndarray:
    """Class numbers, or values, of some rows.

    Raises:
        CommandError: there is a class that was not learnt.
    """
    _require(table, path, [described["target"]])
    cells = [table[described["target"]][i].strip() for i in rows]
    if described["task"] == "regression":
        with told():
            return _numbers(path, described["target"], cells).astype(np.float32)
    places = {name: i for i, name in enumerate(described["classes"])}
    for row, cell in zip(rows, cells, strict=True):
        if cell not in places:
            raise CommandError(
                f"{path}: {described['target']!r} is {cell!r} in row {int(row) + 1}; the classes are {', '.join(places)}"
            )
    return np.array([places[cell] for cell in cells], np.int64)


def dataset(path: str, table: dict, described: dict, rows) -> TensorDataset:
    """Items (inputs, target)."""
    x, y = inputs(path, table, described, rows), targets(path, table, described, rows)
    return TensorDataset(from_numpy(x), from_numpy(y))


def class_names(table: dict, target: str, rows) -> list[str]:
    """The classes in order: as numbers, where they all are."""
    names = {table[target][i].strip() for i in rows}
    return sorted(names, key=(lambda name: (float(name), name)) if all(map(_is_number, names)) else None)
