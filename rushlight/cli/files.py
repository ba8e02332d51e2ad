"""Results that are whole or aren't there."""

import contextlib
import csv
import json
import os


@contextlib.contextmanager
def replacing(path: str):
    """The name of a file to write that takes the place of `path` at the end, if nothing goes wrong.

    >>> import os, tempfile
    >>> from rushlight.cli.files import replacing
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(os.path.join(folder, "a.txt")) as name, open(name, "w") as file:
    ...         _ = file.write("whole")
    ...     os.listdir(folder)
    ['a.txt']
    """
    base, end = os.path.splitext(path)
    temporary = f"{base}.{os.getpid()}.tmp{end}"
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def write_json(value, path: str) -> None:
    """Write a .json file."""
    with replacing(path) as name, open(name, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")


def write_csv(rows: list[list], path: str) -> None:
    """Write a .csv file, the names of its columns first."""
    with replacing(path) as name, open(name, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def read_json(path: str):
    """What a .json file holds."""
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def has_matplotlib() -> bool:
    """Whether figures can be drawn."""
    import importlib.util

    return importlib.util.find_spec("matplotlib") is not None


def save_figure(figure, path: str) -> None:
    """Write a figure as a .png file."""
    with replacing(path) as name:
        figure.savefig(name, dpi=120, bbox_inches="tight")
