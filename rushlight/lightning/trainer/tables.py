"""The table of metrics that validate and test print."""

import shutil


def print_results(results: list[dict], stage: str) -> None:
    """Print metrics, a column for each loader, as wide as the terminal.

    Args:
        results: a dictionary for each loader.
        stage: "validate" or "test".
    """
    rows: dict[str, list] = {}
    for number, metrics in enumerate(results):
        for name, value in metrics.items():
            name = name.split("/dataloader_idx_")[0]
            rows.setdefault(name, [" "] * len(results))[number] = f"{value}"
    if not rows:
        return
    heads = [f"DataLoader {i}" for i in range(len(results))]
    room = shutil.get_terminal_size(fallback=(120, 30)).columns or 120
    width = min(max(25, *map(len, rows), *map(len, heads)), room // 2)
    columns = max(1, (room - width) // width)
    line = "\N{BOX DRAWINGS LIGHT HORIZONTAL}" * room
    for first in range(0, len(results), columns):
        shown = slice(first, first + columns)
        table = [[f"{stage.capitalize()} metric", *heads[shown]], None]
        table += [[name, *cells[shown]] for name, cells in sorted(rows.items())]
        print(line)
        for row in table:
            print(line if row is None else "".join(f"{cell:^{width}}" for cell in row).rstrip())
        print(line)
