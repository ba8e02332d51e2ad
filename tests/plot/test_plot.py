"""Figures show the numbers that they are given, with their labels, and change nothing else."""

import copy
import re

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn, plot
from rushlight.optim import lr_scheduler

pytest.importorskip("matplotlib")


def drawn(figure):
    """The figure, after everything was really drawn."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).draw()
    return figure


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


# -- curves


def test_curves_of_a_list_and_of_names():
    (ax,) = drawn(plot.curves([3.0, 2.0, float("nan"), 1.0])).axes
    assert ax.lines[0].get_xdata().tolist() == [1, 2, 4] and ax.lines[0].get_ydata().tolist() == [3, 2, 1]
    history = {
        "epoch": [0, 1],
        "train_loss": [2.0, 1.0],
        "val_loss": torch.tensor([2.5, 1.5]),
        "acc/val": [0.5, 0.75],
    }
    figure = drawn(plot.curves(history, title="run", log=True))
    assert titles(figure) == ["loss", "acc"] and figure.get_suptitle() == "run"
    assert [line.get_label() for line in figure.axes[0].lines] == ["train_loss", "val_loss"]
    assert figure.axes[0].get_xlabel() == "epoch" and figure.axes[0].get_yscale() == "log"


def test_curves_of_a_csv_logger(tmp_path):
    from rushlight.lightning.loggers import CSVLogger

    logger = CSVLogger(tmp_path)
    for step in range(4):
        logger.log_metrics({"train_loss": 1 / (step + 1), "epoch": step // 2}, step)
    logger.log_metrics({"val_loss": 0.4, "epoch": 1}, 3)
    logger.finalize("success")
    for path in (logger.log_dir, f"{logger.log_dir}/metrics.csv"):
        (ax,) = drawn(plot.curves(path)).axes
        found = {line.get_label(): line.get_xdata().tolist() for line in ax.lines}
        assert found == {"train_loss": [0, 1, 2, 3], "val_loss": [3]} and ax.get_xlabel() == "step"


def test_smooth_curves_keep_constants():
    figure = plot.curves([2.0] * 50, smooth=0.9)
    pale, line = figure.axes[0].lines
    np.testing.assert_allclose(line.get_ydata(), 2.0)
    assert pale.get_alpha() < 1


@pytest.mark.parametrize(
    "history, options, message",
    [({}, {}, "no numbers"), ({"a": []}, {}, "no numbers"), ({"a": [1]}, {"x": "t"}, "no column 't'"),
     ({"a": [1, 2], "step": [1]}, {}, "'a' has 2 numbers")],
)  # fmt: skip
def test_curves_refuse(history, options, message):
    with pytest.raises(ValueError, match=message):
        plot.curves(history, **options)


SCHEDULERS = {
    "step": lambda o: lr_scheduler.StepLR(o, 3),
    "lambda": lambda o: lr_scheduler.LambdaLR(o, lambda i: 1 / (i + 1)),
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.5, total_steps=21),
    "restarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 5),
    "sequence": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o, 0.1, 4), lr_scheduler.ExponentialLR(o, 0.9)], [4]
    ),
    "chain": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o, 0.1, 4), lr_scheduler.ExponentialLR(o, 0.9)], o
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_learning_rates_are_found_on_a_copy(kind):
    def make():
        weights = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))]
        optimizer = torch.optim.SGD(
            [{"params": weights[:1]}, {"params": weights[1:], "lr": 0.01}], lr=0.1, momentum=0.9
        )
        return optimizer, SCHEDULERS[kind](optimizer)

    optimizer, scheduler = make()
    state = copy.deepcopy((optimizer.state_dict(), scheduler.state_dict()))
    figure = drawn(plot.learning_rates(scheduler, 20))
    assert str((optimizer.state_dict(), scheduler.state_dict())) == str(state)
    assert titles(figure) == [type(scheduler).__name__]
    optimizer, scheduler = make()
    expected = [[group["lr"] for group in optimizer.param_groups]]
    for _ in range(20):
        optimizer.step()
        scheduler.step()
        expected.append([group["lr"] for group in optimizer.param_groups])
    found = np.array([line.get_ydata() for line in figure.axes[0].lines]).T
    np.testing.assert_array_equal(found, expected)


def test_learning_rates_of_a_plateau():
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    figure = plot.learning_rates(
        lr_scheduler.ReduceLROnPlateau(optimizer, patience=1), 4, metrics=[1, 1, 1, 1]
    )
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [1, 1, 1, 0.1, 0.1])


def test_confusion_matrix():
    expected = torch.tensor([0, 0, 1, 2, 2, 2])
    predicted = torch.tensor([0, 1, 1, 2, 2, 0])
    figure = drawn(plot.confusion_matrix(predicted, expected, names=["cat", "elephant", "dog"]))
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.texts] == ["1", "1", "0", "0", "1", "0", "1", "0", "2"]
    assert titles(figure) == ["4 of 6 right (66.7 %)"] and ax.get_ylabel() == "true"
    scores = nn.functional.one_hot(predicted, 3).float()
    same = plot.confusion_matrix(scores, expected, normalize=True)
    assert [text.get_text() for text in same.axes[0].texts][:3] == ["0.50", "0.50", "0.00"]
    np.testing.assert_allclose(same.axes[0].images[0].get_array()[2], [1 / 3, 0, 2 / 3])
    assert titles(plot.confusion_matrix(np.eye(2) * 3)) == ["6 of 6 right (100.0 %)"]
    for matrix, names, message in ((np.ones((2, 3)), None, "square"), (np.eye(2), ["a"], "1 names for 2")):
        with pytest.raises(ValueError, match=message):
            plot.confusion_matrix(matrix, names=names)


def test_ranking_curves_agree_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    scores, labels = rng.random((60, 3)), rng.integers(0, 3, 60)
    roc = drawn(plot.roc_curve(torch.tensor(scores), torch.tensor(labels), names=["a", "b", "c"]))
    fpr, tpr, _ = metrics.roc_curve(labels == 1, scores[:, 1], drop_intermediate=False)
    line = roc.axes[0].lines[1]
    np.testing.assert_allclose([line.get_xdata(), line.get_ydata()], [fpr, tpr], atol=1e-6)
    assert line.get_label() == f"b: area {metrics.roc_auc_score(labels == 1, scores[:, 1]):.3f}"
    pr = drawn(plot.precision_recall_curve(scores[:, 0], (labels == 0).astype(int)))
    average = metrics.average_precision_score(labels == 0, scores[:, 0])
    assert pr.axes[0].lines[0].get_label() == f"average {average:.3f}"


def test_calibration():
    probabilities = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.55, 0.45]])
    figure = drawn(plot.calibration(probabilities, [0, 1, 1, 0], bins=10))
    upper, lower = figure.axes
    assert [round(bar.get_height(), 3) for bar in upper.patches][5:] == [1.0, 1.0, 0, 0.5, 0]
    assert [bar.get_height() for bar in lower.patches][5:] == [0.25, 0.25, 0, 0.5, 0]
    assert float(upper.get_title().split()[-1]) == pytest.approx(
        0.3875, abs=1e-3
    )  # (0.45 + 0.3 + 2 * 0.4) / 4


# -- pictures


def test_predictions_mark_what_is_wrong():
    images = torch.rand(5, 3, 6, 6)
    figure = drawn(
        plot.predictions(
            images, [0, 1, 1, 0, 1], torch.tensor([0, 1, 0, 0, 0]), names=["cat", "dog"], columns=2
        )
    )
    assert titles(figure) == ["cat", "dog", "dog, not cat", "cat", "dog, not cat"]
    assert [ax.axison for ax in figure.axes[:5]] == [False, False, True, False, True]  # the frame
    probabilities = plot.predictions(images, torch.tensor([[0.25, 0.75]] * 5), limit=2)
    assert titles(probabilities) == ["1\n75 %", "1\n75 %"]
    assert titles(plot.predictions(images, torch.tensor([[0.0, 3.0]] * 5), limit=1)) == ["1\n95 %"]
    with pytest.raises(ValueError, match="no pictures"):
        plot.predictions(images[:0], [])


@pytest.mark.parametrize(
    "shape, dtype", [((3, 8, 8), torch.uint8), ((1, 8, 8), torch.float32), ((8, 8), torch.uint8)]
)
def test_pictures_of_all_kinds(shape, dtype):
    picture = (torch.rand(2, *shape) * (255 if dtype is torch.uint8 else 1)).to(dtype)
    shown = drawn(plot.predictions(picture, [0, 1])).axes[0].images[0].get_array()
    expected = picture[0].double() / (255 if dtype is torch.uint8 else 1)
    expected = expected.permute(1, 2, 0).squeeze(-1) if len(shape) == 3 else expected
    np.testing.assert_allclose(shown, expected.numpy(), atol=1e-6)


def test_normalized_pictures_are_spread():
    shown = plot.predictions(torch.randn(1, 3, 8, 8), [0]).axes[0].images[0].get_array()
    assert shown.min() == 0 and shown.max() == 1


def test_keypoints():
    points = torch.rand(3, 4, 2) * 8
    figure = drawn(plot.keypoints(torch.rand(3, 1, 8, 8), points, points.reshape(3, 8) + 1))
    true, found = figure.axes[2].collections
    np.testing.assert_allclose(found.get_offsets(), points[2].numpy())
    np.testing.assert_allclose(true.get_offsets(), points[2].numpy() + 1)
    assert [text.get_text() for text in figure.legends[0].texts] == ["true", "predicted"]


def test_segmentation():
    expected = torch.zeros(6, 8, dtype=torch.long)
    expected[2:4] = 1
    expected[5] = 255
    scores = nn.functional.one_hot(expected.clamp(max=2), 3).permute(2, 0, 1).float()
    scores[:, 0, 0] = torch.tensor([0.0, 0, 1])
    figure = drawn(plot.segmentation(torch.rand(3, 6, 8), scores, expected, names=["ground", "cat", "sky"]))
    assert titles(figure) == ["picture", "predicted", "true", "wrong: 2.5 %"]  # 1 of 40
    assert [text.get_text() for text in figure.legends[0].texts] == ["ground", "cat", "sky"]
    true = figure.axes[2].images[1].get_array()
    assert (true[5, :, 3] == 0).all() and (true[2] == true[3]).all() and (true[0] != true[2]).any()
    with pytest.raises(ValueError, match="the picture has shape"):
        plot.segmentation(torch.rand(3, 6, 8), torch.zeros(6, 7))


# -- functions


def test_activation_functions():
    figure = drawn(
        plot.activation_functions({"half": lambda x: x / 2, "square": torch.square}, low=-1, high=1)
    )
    _, _, function, gradient = figure.axes[1].lines
    np.testing.assert_allclose(function.get_ydata(), np.linspace(-1, 1, 401) ** 2, atol=1e-12)
    np.testing.assert_allclose(gradient.get_ydata(), np.linspace(-2, 2, 401), atol=1e-12)
    assert len(drawn(plot.activation_functions()).axes) == 12


@pytest.mark.parametrize("name, options", [("SGD", {"lr": 0.01, "momentum": 0.5}), ("Adam", {"lr": 0.1})])
def test_ways_of_optimizers_are_pytorchs(name, options):
    oracle = pytest.importorskip("torch")
    place = oracle.nn.Parameter(oracle.tensor([-1.0, 0.5], dtype=oracle.float64))
    optimizer = getattr(oracle.optim, name)([place], **options)
    expected = [place.detach().clone().numpy()]
    for _ in range(20):
        optimizer.zero_grad()
        plot.himmelblau(place[0], place[1]).backward()
        optimizer.step()
        expected.append(place.detach().clone().numpy())
    path = plot.descend(plot.himmelblau, (-1, 0.5), lambda p: getattr(torch.optim, name)(p, **options), 20)
    np.testing.assert_allclose(path.numpy(), expected, rtol=1e-12)


def test_optimizer_paths():
    optimizers = {
        "good": lambda p: torch.optim.SGD(p, lr=0.1),
        "wild": lambda p: torch.optim.SGD(p, lr=3e100),
    }
    with np.errstate(all="ignore"):  # the wild one overflows
        figure = drawn(
            plot.optimizer_paths(lambda x, y: x**4 + y**2, (2, 1), optimizers, steps=10, title="bowl")
        )
    flat, space = figure.axes
    assert (flat.name, space.name, figure.get_suptitle()) == ("rectilinear", "3d", "bowl")
    assert [text.get_text() for text in figure.legends[0].texts] == ["good", "wild"]
    assert (
        len(flat.lines[0].get_xdata()) == 11 and len(flat.lines[2].get_xdata()) < 11
    )  # stops before infinity
    assert len(drawn(plot.optimizer_paths(steps=5, dimensions=2)).axes) == 1
    assert drawn(plot.optimizer_paths(lambda x, y: 0 * x * y, steps=1, dimensions=3)).axes[0].name == "3d"


# -- graphs


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        x = self.first(x).relu()
        return (x + self.third(self.second(x).tanh()).sigmoid() + self.second(x)).sum()


def edges(dot):
    labels = dict(re.findall(r'^  (\d+) \[label="([^"]*)"', dot, re.M))
    return sorted((labels[a], labels[b]) for a, b in re.findall(r"^  (\d+) -> (\d+)", dot, re.M))


def test_autograd_graph():
    net = Residual()
    loss = net(torch.rand(2, 3))
    found = edges(plot.autograd_dot(loss, net))
    assert ("first.weight\\n[3, 3]", "T") in found and ("Sum", "[]") in found
    assert found.count(("second.bias\\n[3]", "Addmm")) == 2  # one box for a parameter that is used twice
    figure = drawn(plot.autograd_graph(loss, net))
    boxes = [text for text in figure.axes[0].texts if text.get_text()]
    assert len(boxes) == len(re.findall(r"label=", plot.autograd_dot(loss, net)))
    extents = [text.get_bbox_patch().get_window_extent() for text in boxes]
    overlaps = [(a, b) for i, a in enumerate(extents) for b in extents[:i] if a.overlaps(b)]
    assert not overlaps
    heights = {text.get_text(): text.get_position()[1] for text in boxes}
    assert heights["first.weight\n[3, 3]"] > heights["Sum"] > heights["[]"] == 0
    loss.backward()  # drawing has freed nothing


def test_autograd_graph_needs_a_graph():
    for tensor in (torch.ones(2), torch.ones(2, requires_grad=True)):
        with pytest.raises(ValueError, match="no grad_fn"):
            plot.autograd_graph(tensor)


def test_figures_of_filters_are_here_too():
    assert plot.filter_figure(nn.Conv2d(3, 4, 3)).axes and plot.activation_figure


@pytest.mark.parametrize(
    "names", [["no", "yes"], ["a rather long name", *"bcdefghi"], [*map(str, range(40))]]
)
def test_confusion_matrix_is_not_cut_off(names):
    figure = plot.confusion_matrix(torch.eye(len(names)), names=names)
    figure.draw_without_rendering()
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height


def test_colours_say_what_is_training():
    history = {"val_acc": [1, 2], "train_acc": [2, 3], "train_loss": [1, 0], "val_loss": [1, 1], "lr": [1, 1]}
    for axes in plot.curves(history).axes:
        for line in axes.lines:
            assert line.get_color() == ("C1" if line.get_label().startswith("val") else "C0")


def test_points_beyond_a_picture_do_not_shrink_it():
    (axes,) = plot.keypoints(torch.rand(1, 1, 8, 8), torch.tensor([[[20.0, -5.0]]])).axes
    assert axes.get_xlim() == (-0.5, 7.5)
