"""Hyper-parameter search."""

import csv

import pytest

import rushlight as torch
from rushlight import tune
from rushlight.tune import Choice, Float, Int, grid_search, random_search, search
from rushlight.tune.space import as_space

pytest.importorskip("optuna")


def bowl(trial):
    return (trial["x"] - 2) ** 2 + trial["n"] + {"a": 0, "b": 1}[trial["kind"]]


SPACE = {"x": Float(-10, 10), "n": Int(0, 3), "kind": ["a", "b"]}


@pytest.mark.parametrize("method", ["tpe", "random"])
def test_search(method):
    found = search(bowl, SPACE, method=method, trials=30, seed=0)
    again = search(bowl, SPACE, method=method, trials=30, seed=0)
    assert found.best_params == again.best_params
    assert found.best_value == bowl(found.best_params) < 6
    table = found.table()
    assert [row["value"] for row in table] == sorted(row["value"] for row in table)
    assert {row["state"] for row in table} == {"complete"}
    assert repr(found).startswith("Search(30 of 30 trials completed, best ")


def test_tpe_learns():
    def wide(trial):
        return (trial["x"] - 2) ** 2

    tpe, chance = (
        search(wide, {"x": Float(-100, 100)}, method=m, trials=60, seed=1) for m in ("tpe", "random")
    )
    assert tpe.best_value < chance.best_value


def test_grid_and_any_values():
    layers = [torch.nn.ReLU(), torch.nn.Tanh()]
    space = {"n": Int(0, 2), "layer": Choice(layers), "x": Float(0, 1, step=0.5)}
    found = search(
        lambda t: t["n"] + t["x"] + (t["layer"] is layers[0]), space, method="grid", direction="maximize"
    )
    assert len(found.table()) == 18
    assert found.best_params == {"n": 2, "layer": layers[0], "x": 1.0}
    assert found.best_value == 4


def test_pruning():
    steps = []

    def objective(trial):
        for step in range(10):
            steps.append(trial.number)
            trial.report(trial["x"], step)
        return trial["x"]

    found = search(objective, {"x": Float(0, 1)}, method="random", trials=20, pruning=True, seed=0)
    states = [row["state"] for row in found.table()]
    assert set(states) == {"complete", "pruned"}
    assert len(steps) < 200
    assert states == sorted(states)  # the pruned ones last


def test_processes_and_storage(tmp_path):
    found = search(bowl, SPACE, method="random", trials=8, processes=2, seed=0)
    assert len(found.table()) == 8
    assert found.best_value == bowl(found.best_params)
    kept = str(tmp_path / "study.journal")
    search(bowl, SPACE, trials=3, storage=kept, seed=0)
    assert len(search(bowl, SPACE, trials=2, storage=kept, seed=1).table()) == 5  # it goes on
    with pytest.raises(RuntimeError, match="2 of 2 processes failed"):
        search(lambda trial: 1 / 0, SPACE, trials=4, processes=2)


def test_table_and_figure(tmp_path):
    found = search(bowl, {**SPACE, "lr": Float(1e-4, 1, log=True)}, trials=5, seed=0)
    found.save(tmp_path / "trials.csv")
    with open(tmp_path / "trials.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["value"]) for row in rows] == [row["value"] for row in found.table()]
    assert [p.name for p in tmp_path.iterdir()] == ["trials.csv"]
    pytest.importorskip("matplotlib")
    figure = found.figure()
    assert [ax.get_xlabel() for ax in figure.axes] == ["trial", "x", "n", "kind", "lr"]


def loaders():
    torch.manual_seed(0)
    x = torch.randn(120, 4)
    y = (x[:, 0] > x[:, 1]).long()
    data = torch.utils.data.TensorDataset(x, y)
    train, val = torch.utils.data.random_split(data, [80, 40])
    return torch.utils.data.DataLoader(train, 16), torch.utils.data.DataLoader(val, 16)


class Net(torch.nn.Sequential):
    def __init__(self, hidden_size=8, activation=None):
        super().__init__(
            torch.nn.Linear(4, hidden_size), activation or torch.nn.ReLU(), torch.nn.Linear(hidden_size, 2)
        )


def test_two_lines():
    train, val = loaders()
    spaces = {"learning_rate": [1e-5, 1e-2], "reg": [1e-4]}
    best, results = grid_search(train, val, spaces, Net, epochs=8, patience=3)
    assert [config["learning_rate"] for config, _ in results] == [1e-5, 1e-2]
    losses = [figures["val_loss"] for _, figures in results]
    assert losses[1] < losses[0]
    criterion = torch.nn.CrossEntropyLoss(reduction="sum")
    best.eval()
    assert sum(criterion(best(x), y).item() for x, y in val) / 40 == pytest.approx(losses[1], rel=1e-5)

    spaces = {
        "learning_rate": ([1e-2, 1e-3], "log"),
        "hidden_size": ([4, 16], "int"),
        "activation": ([torch.nn.Tanh(), torch.nn.ReLU()], "item"),
        "loss_func": ([torch.nn.CrossEntropyLoss()], "item"),
        "reg": ([0.0, 1e-3], "float"),
    }
    batches = [[{"image": x, "label": y} for x, y in loader] for loader in (train, val)]
    _, results = random_search(*batches, spaces, Net, num_search=3, epochs=2, seed=0)
    for config, figures in results:
        assert 1e-3 <= config["learning_rate"] <= 1e-2
        assert 4 <= config["hidden_size"] <= 16
        assert figures["epoch"] >= 0


def test_early_stopping():
    train, val = loaders()
    seen = []

    class Counting(Net):
        def train(self, mode=True):
            seen.append(mode)
            return super().train(mode)

    _, results = grid_search(train, val, {"learning_rate": [10.0]}, Counting, epochs=50, patience=2)
    assert sum(seen) < 20
    assert len(results) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: search(bowl, SPACE, method="best"), "method must be one of tpe, random, grid"),
        (lambda: search(bowl, SPACE, direction="up"), "direction must be"),
        (lambda: search(bowl, SPACE, processes=0), "processes must be at least 1"),
        (lambda: search(bowl, SPACE, method="grid"), "x: a grid needs a list of values or a step"),
        (lambda: as_space("lr", ([1, 2], "log10")), "lr: the mode must be one of"),
        (lambda: as_space("lr", 3), "lr: expected Float, Int, Choice"),
        (lambda: Float(1, 0), "low must not be above high"),
        (lambda: Float(0, 1, log=True), "low must be above 0"),
        (lambda: Int(1, 9, step=0), "step must be above 0"),
        (lambda: Float(1, 9, log=True, step=2.0), "no steps"),
        (lambda: Choice([]), "nothing to choose from"),
        (lambda: grid_search([], [], {}, Net), "the loader is empty"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_exports():
    assert sorted(tune.__all__) == tune.__all__


def test_failures_are_in_the_table():
    def objective(trial):
        if trial["x"] == 1:
            raise RuntimeError("too\n much")
        return float("nan") if trial["x"] == 2 else 0.0

    found = search(objective, {"x": [1, 2, 3]}, method="grid", catch=(RuntimeError,))
    assert {row["x"]: (row["state"], row.get("error")) for row in found.table()} == {
        1: ("fail", "too much"), 2: ("fail", "the value is nan"), 3: ("complete", None),
    }  # fmt: skip
    assert found.figure().axes and found.best_params == {"x": 3}
    with pytest.raises(RuntimeError, match="too"):
        search(objective, {"x": [1]}, method="grid")
    with pytest.raises(ValueError, match="trials must be at least 1, got 0"):
        search(objective, {"x": [1]}, trials=0)


@pytest.mark.parametrize("storage", ["sqlite:///{}", "{}"])
def test_goes_on_with_as_many_as_asked(storage, tmp_path):
    options = {"storage": storage.format(tmp_path / "study")}
    run = lambda **more: len(search(lambda t: t["x"], {"x": Float(0, 1)}, seed=0, **options, **more).table())
    assert run(trials=2) == 2
    assert run(trials=3, processes=2) == 5


def test_a_grid_ends(tmp_path):
    options = {"method": "grid", "storage": str(tmp_path / "study")}
    run = lambda **more: len(search(lambda t: t["x"], {"x": [1, 2, 3]}, **options, **more).table())
    assert [run(trials=2), run(), run(), run(processes=2)] == [2, 3, 3, 3]
