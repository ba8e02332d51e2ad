"""Pictures of runs."""


def _axes(width: float, height: float, columns: int):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def curves(history: list[dict]):
    """A matplotlib figure of what was logged, a panel for each kind of figure: training and validation, over epochs.

    Args:
        history: for each epoch its number and the values by name.
    """
    names = sorted({name for row in history for name in row} - {"epoch"})
    kinds = sorted({_kind(name) for name in names}, key=lambda kind: (kind != "loss", kind == "lr", kind))
    figure, panels = _axes(3.6 * max(1, len(kinds)), 3.2, max(1, len(kinds)))
    for kind, panel in zip(kinds, panels, strict=False):
        for name in names:
            if _kind(name) == kind:
                points = [(row["epoch"], row[name]) for row in history if name in row]
                label = (
                    "validation"
                    if name.startswith("val_")
                    else "training"
                    if name.startswith("train_")
                    else name
                )
                panel.plot(
                    *zip(*points, strict=True), marker="o" if len(points) < 30 else None, ms=3, label=label
                )
        panel.set(xlabel="epoch", title=kind)
        panel.legend()
        panel.grid(alpha=0.3)
    return figure


def _kind(name: str) -> str:
    return name.removeprefix("val_").removeprefix("train_")


def confusion(matrix: list[list[int]], classes: list[str]):
    """A matplotlib figure of a confusion matrix, with counts where there is room.

    Args:
        matrix: counts; rows are the classes, columns what they were taken for.
        classes: their names.
    """
    side = min(12.0, 3 + 0.45 * len(classes))
    figure, (panel,) = _axes(side, side, 1)
    shares = [[n / max(1, sum(row)) for n in row] for row in matrix]
    panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= 40:
        panel.set_xticks(range(len(classes)), classes, rotation=60, ha="right")
        panel.set_yticks(range(len(classes)), classes)
    if len(classes) <= 20:
        for i, row in enumerate(matrix):
            for j, count in enumerate(row):
                if count:
                    panel.text(
                        j,
                        i,
                        count,
                        ha="center",
                        va="center",
                        size=8,
                        color="white" if shares[i][j] > 0.5 else "black",
                    )
    panel.set(xlabel="taken for", ylabel="class")
    return figure
