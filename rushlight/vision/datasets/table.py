"""Tables of numbers in CSV files."""

import csv
import io
import math

import numpy as np

from rushlight.ops.creation import from_numpy
from rushlight.vision.datasets.vision import VisionDataset

_MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}


def read_table(path, delimiter: str = ",", names=None) -> dict[str, list[str]]:
    """The columns of a CSV file by the names in its first line.

    Args:
        path: the file.
        delimiter: between the columns.
        names: of the columns, where the first line is a row as the others.

    Raises:
        ValueError: no text, lines of different lengths, or names that repeat; names file and line.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            content = file.read()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: no text in UTF-8: {error}") from None
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter)
    source = "the first line names" if names is None else "there are names of"
    try:
        names = [name.strip() for name in next(reader, [])] if names is None else list(names)
        rows = []
        for row in reader:
            if row and len(row) != len(names):
                raise ValueError(f"{len(row)} values, where {source} {len(names)} columns")
            if row:
                rows.append(row)
    except (csv.Error, ValueError) as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
    if not names:
        raise ValueError(f"{path}: the first line must name each column once, and it is empty")
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise ValueError(f"{path}: the first line must name each column once; two are {twice[0]!r}")
    return (
        dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)) if rows else {n: [] for n in names}
    )


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _numbers(path, name: str, cells: list[str]) -> np.ndarray:
    """A column as float64, with NaN for missing values."""
    values = np.empty(len(cells))
    for i, cell in enumerate(cells):
        try:
            values[i] = np.nan if cell.strip().lower() in _MISSING else float(cell)
        except ValueError:
            values[i] = np.inf
        if np.isinf(values[i]):
            raise ValueError(f"{path}: column {name!r} holds {cell!r} (row {i + 1}), which is no number")
    return values


class CSVDataset(VisionDataset):
    """Rows of numbers, such as the properties of houses and their prices.

    Args:
        path: CSV file whose first line names the columns.
        target: column to predict; without one, items are the features alone.
        features: columns to predict it from, or the number of columns to choose, those with the greatest correlation
            with the target; by default all that hold numbers. Columns of words are left out; one that holds both is an
            error.
        normalize: shift and scale each feature to mean 0 and standard deviation 1.
        like: the data set of the training rows, whose features, means and deviations are used instead.
        missing: what becomes of rows with missing values ("", "NA", "?"…): "error", "drop" them, or fill in the
            "mean" of the column. A row without target is dropped or an error.
        delimiter: between the columns.
        transform: applied to each row, a float tensor.
        target_transform: applied to each target, a float tensor of no dimensions.

    Attributes: `data` of shape (N, features), `targets` of shape (N,), `features`, `mean`, `std`.

    Raises:
        ValueError: columns are absent, or hold no numbers; names the file, and the row where there is one.
    """

    def __init__(
        self,
        path,
        target: str | None = None,
        features=None,
        normalize: bool = True,
        like: "CSVDataset | None" = None,
        missing: str = "error",
        delimiter: str = ",",
        transform=None,
        target_transform=None,
    ):
        super().__init__(path, transform=transform, target_transform=target_transform)
        if missing not in ("error", "drop", "mean"):
            raise ValueError(f"missing: 'error', 'drop' or 'mean' expected, got {missing!r}")
        table = read_table(self.root, delimiter)
        features = like.features if like is not None else features
        named = list(features) if isinstance(features, (list, tuple)) else []
        if isinstance(features, str):
            raise TypeError(f"features: a list of names or a number expected, got {features!r}")
        if len(set(named)) < len(named) or target in named:
            raise ValueError(
                f"{path}: features: each column once and without the target expected, got {named}"
            )
        for name in [*named, *([target] if target else [])]:
            if name not in table:
                raise ValueError(f"{path}: there is no column {name!r}; it has {', '.join(table)}")
        wanted = None if target is None else _numbers(self.root, target, table[target])
        columns = self._columns(table, features, target)
        kept = self._complete(columns, wanted, missing)
        columns = {name: column[kept] for name, column in columns.items()}
        wanted = wanted[kept] if wanted is not None else None
        if isinstance(features, int):
            columns = _most_correlated(path, columns, wanted, features)
        self.features = list(columns)
        rows = np.stack(list(columns.values()), 1) if columns else np.empty((len(kept), 0))
        if like is not None:
            self.mean, self.std = like.mean, like.std
        elif normalize or missing == "mean":
            self.mean, self.std = _statistics(path, rows, normalize)
        else:
            self.mean, self.std = np.zeros(rows.shape[1]), np.ones(rows.shape[1])
        rows = np.where(np.isnan(rows), self.mean, rows)
        if normalize:
            rows = (rows - self.mean) / self.std
        self.data = from_numpy(rows.astype(np.float32))
        self.targets = from_numpy(wanted.astype(np.float32)) if wanted is not None else None

    def _columns(self, table, features, target) -> dict[str, np.ndarray]:
        if isinstance(features, (list, tuple)):
            return {name: _numbers(self.root, name, table[name]) for name in features}
        found = {}
        for name, cells in table.items():
            if name != target:
                try:
                    found[name] = _numbers(self.root, name, cells)
                except ValueError as error:
                    if sum(map(_is_number, cells)) * 2 > len(cells):
                        raise ValueError(f"{error}; name the columns in features= to leave it out") from None
        if not found:
            raise ValueError(f"{self.root}: there are no columns of numbers; it has {', '.join(table)}")
        return found

    def _complete(self, columns, wanted, missing: str) -> np.ndarray:
        """Numbers of the rows that are used."""
        checked = dict(columns) if missing != "mean" else {}
        if wanted is not None:
            checked["the target"] = wanted
        count = len(next(iter(columns.values()), wanted if wanted is not None else []))
        whole = np.ones(count, bool)
        for name, column in checked.items():
            absent = np.isnan(column)
            if absent.any() and missing == "error":
                raise ValueError(
                    f"{self.root}: {name} is missing in row {int(absent.argmax()) + 1}. Give missing='drop' or 'mean', "
                    "or choose other features"
                )
            whole &= ~absent
        if not whole.any():
            raise ValueError(f"{self.root}: there are no complete rows")
        return np.flatnonzero(whole)

    def __getitem__(self, index: int):
        if self.targets is None:
            return self.data[index] if self.transform is None else self.transform(self.data[index])
        return self._transformed(self.data[index], self.targets[index])

    def __len__(self) -> int:
        return len(self.data)


def _most_correlated(path, columns, wanted, count: int):
    """The `count` columns with the greatest correlation with the target, in the order of the file."""
    if wanted is None or not 1 <= count <= len(columns):
        raise ValueError(
            f"{path}: features={count} needs a target, and a number from 1 to {len(columns)}, that of the columns"
        )
    y = wanted - wanted.mean()
    strength = {}
    for name, column in columns.items():
        x = (
            np.where(np.isnan(column), 0, column - np.nanmean(column))
            if not np.isnan(column).all()
            else column * 0
        )
        scale = np.sqrt((x @ x) * (y @ y))
        strength[name] = abs(x @ y) / scale if scale > 0 else 0.0
    chosen = sorted(strength, key=lambda name: -strength[name])[:count]
    return {name: column for name, column in columns.items() if name in chosen}


def _statistics(path, rows: np.ndarray, normalize: bool):
    """Mean and standard deviation of each column, 1 for constant ones."""
    if np.isnan(rows).all(0).any():
        raise ValueError(f"{path}: there is a column without any value")
    mean, std = np.nanmean(rows, 0), np.nanstd(rows, 0)
    return mean, np.where(std > 0, std, 1) if normalize else np.ones_like(std)
