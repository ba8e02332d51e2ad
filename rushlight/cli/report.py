"""The figures of a trained model on data, as dictionaries and as text."""

import rushlight as torch
from rushlight.cli.files import save_figure
from rushlight.metrics import (
    Accuracy,
    ConfusionMatrix,
    F1Score,
    MeanAbsoluteError,
    MeanSquaredError,
    Precision,
    R2Score,
    Recall,
)


def scores(task, loader) -> tuple:
    """What a model says about all data of a loader, and what is right: two tensors."""
    found, right = [], []
    with torch.inference_mode():
        for x, y in loader:
            found.append(task(x.to(task.dtype)))
            right.append(torch.as_tensor(y))
    return torch.cat(found), torch.cat(right)


def figures_of(described: dict, found, right) -> dict:
    """The figures: of numbers MAE, RMSE and R2; of classes accuracy, figures of each class, and the confusion matrix.

    Args:
        described: of the data.
        found, right: what `scores` returns.
    """
    if described["task"] == "regression":
        metrics = {"mae": MeanAbsoluteError(), "rmse": MeanSquaredError(squared=False), "r2": R2Score()}
        for metric in metrics.values():
            metric.update(found, right)
        return {"samples": len(right), **{name: metric.compute().item() for name, metric in metrics.items()}}
    classes = described["classes"]
    count = len(classes)
    matrix = ConfusionMatrix("multiclass", count)
    matrix.update(found, right)
    cells = matrix.compute()
    result = {"samples": len(right), "accuracy": _value(Accuracy("multiclass", count), found, right)}
    if count > 5:
        result["top5"] = _value(Accuracy("multiclass", count, top_k=5), found, right)
    kinds = {"precision": Precision, "recall": Recall, "f1": F1Score}
    result |= {name: _value(kind("multiclass", count), found, right) for name, kind in kinds.items()}
    each = {
        name: _value(kind("multiclass", count, average=None), found, right) for name, kind in kinds.items()
    }
    result["classes"] = [
        {
            "class": name,
            **{figure: values[i] for figure, values in each.items()},
            "samples": int(cells[i].sum()),
        }
        for i, name in enumerate(classes)
    ]
    result["confusion"] = cells.tolist()
    return result


def _value(metric, found, right):
    metric.update(found, right)
    return metric.compute().tolist()


def save_confusion(figures: dict, path: str) -> None:
    """Draw the confusion matrix."""
    from rushlight import plot

    names = [row["class"] for row in figures["classes"]]
    save_figure(plot.confusion_matrix(figures["confusion"], names=names), path)


def as_text(figures: dict) -> str:
    """The figures as tables."""
    names = ("samples", "accuracy", "top5", "precision", "recall", "f1", "mae", "rmse", "r2")
    lines = [f"{name:<10}{_shown(figures[name])}" for name in names if name in figures]
    if "classes" not in figures:
        return "\n".join(lines)
    heads = ["class", "precision", "recall", "f1", "samples"]
    rows = [[_shown(row[head]) for head in heads] for row in figures["classes"]]
    lines += ["", *_table([heads, *rows])]
    if len(rows) <= 20:
        short = [str(i) for i in range(len(rows))]
        cells = [
            [f"{i} {row[0]}", *map(str, line)]
            for i, (row, line) in enumerate(zip(rows, figures["confusion"], strict=True))
        ]
        lines += ["", "Rows are classes, columns what they were taken for:", *_table([["", *short], *cells])]
    return "\n".join(lines)


def _shown(value) -> str:
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _table(rows: list[list[str]]) -> list[str]:
    """Aligned columns, the first to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
