"""The table of metrics that validate and test print."""

import shutil


def print_results(results: list[dict], stage: str) -> None:
    """Print metrics, a column for each loader.

    Args:
        results: a dictionary for each loader.
        stage: "validate" or "test".
    """
    rows: dict[str, list] = {}
    for number, metrics in enumerate(results):
        for name, value in metrics.items():
            name = name.removesuffix(f"/dataloader_idx_{number}")
            rows.setdefault(name, [""] * len(results))[number] = f"{value}"
    if not rows:
        return
    head = [f"{stage.capitalize()} metric", *(f"DataLoader {i}" for i in range(len(results)))]
    width = max(28, *(len(cell) + 2 for name, cells in rows.items() for cell in (name, *cells)))
    columns = max(1, (shutil.get_terminal_size().columns // width) - 1)
    for first in range(0, len(results), columns):
        shown = slice(first, first + columns)
        line = "─" * (width * (1 + len(results[shown])))
        print(line)
        print("".join(f"{cell:^{width}}" for cell in (head[0], *head[1:][shown])).rstrip())
        print(line)
        for name, cells in sorted(rows.items()):
            print("".join(f"{cell:^{width}}" for cell in (name, *cells[shown])).rstrip())
        print(line)
