"""Event files hold what PyTorch's SummaryWriter writes for the same calls."""

import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rushlight
from rushlight import nn
from rushlight.utils.tensorboard import RecordWriter, SummaryWriter
from rushlight.utils.tensorboard._utils import figure_to_image
from rushlight.utils.tensorboard.messages import Event
from rushlight.utils.tensorboard.records import masked_crc32c

rng = np.random.default_rng(0)
PICTURE = rng.random((3, 8, 10)).astype(np.float32)
BATCH = rng.random((5, 3, 6, 7)).astype(np.float32)
VALUES = rng.normal(size=200)
LABELS, SCORES = rng.integers(0, 2, 50), rng.random(50)
BOXES = np.array([[1.0, 1, 6, 6], [2, 2, 8, 7]])

#: What is written: a name, and a function of the writer and of `torch.tensor`.
CALLS = {
    "scalar": lambda w, t: w.add_scalar("loss/train", 0.25, 3),
    "scalar of a tensor": lambda w, t: w.add_scalar("loss", t([0.0]), np.int64(4), walltime=12.5),
    "scalar, new style": lambda w, t: w.add_scalar("a", 1 / 3, 1, new_style=True),
    "scalar, double": lambda w, t: w.add_scalar("a", 1 / 3, 1, new_style=True, double_precision=True),
    "scalar, negative step": lambda w, t: w.add_scalar("a", float("nan"), -1),
    "scalars": lambda w, t: w.add_scalars("run/14h", {"sin": 0.5, "cos": 0.25}, 7),
    "tensor": lambda w, t: w.add_tensor("t", t([[1.0, 2], [3, 4]]), 1),
    "tensor of integers": lambda w, t: w.add_tensor("t", t([-1, 2, 300]), 1),
    "tensor of booleans": lambda w, t: w.add_tensor("t", t([True, False]), 1),
    "tensor, complex": lambda w, t: w.add_tensor("t", t([1 + 2j]), 1),
    "histogram": lambda w, t: w.add_histogram("h", t(VALUES), 2),
    "histogram, auto": lambda w, t: w.add_histogram("h", VALUES, 2, bins="auto"),
    "histogram, joined": lambda w, t: w.add_histogram("h", VALUES, 2, bins=np.linspace(-3, 3, 62), max_bins=20),
    "histogram of integers": lambda w, t: w.add_histogram("h", t([0, 0, 5]), bins=[0, 1, 2, 6]),
    "histogram_raw": lambda w, t: w.add_histogram_raw("h", 0, 3, 6, 9.0, 19.0, [1, 2, 3], [1, 2, 3], 0),
    "image": lambda w, t: w.add_image("i", t(PICTURE), 1),
    "image HWC uint8": lambda w, t: w.add_image("i", (PICTURE.transpose(1, 2, 0) * 255).astype(np.uint8), dataformats="HWC"),
    "image HW": lambda w, t: w.add_image("i", PICTURE[0], dataformats="HW"),
    "image WH": lambda w, t: w.add_image("i", PICTURE[0], dataformats="WH"),
    "image, grey": lambda w, t: w.add_image("i", t(PICTURE[:1]), 1),
    "images": lambda w, t: w.add_images("i", t(BATCH), 1),
    "images NHWC": lambda w, t: w.add_images("i", BATCH.transpose(0, 2, 3, 1), 1, dataformats="NHWC"),
    "images, many": lambda w, t: w.add_images("i", np.tile(BATCH, (2, 1, 1, 1))[:, :1], 1),
    "boxes": lambda w, t: w.add_image_with_boxes("b", t(PICTURE), t(BOXES), 1, rescale=2),
    "boxes with labels": lambda w, t: w.add_image_with_boxes("b", PICTURE, BOXES, 1, labels=["cat", "dog"]),
    "audio": lambda w, t: w.add_audio("s", t(np.sin(np.arange(100) / 5)), 1, sample_rate=8000),
    "text": lambda w, t: w.add_text("note", "größer | *bold*", 1),
    "pr_curve": lambda w, t: w.add_pr_curve("p", LABELS, SCORES, 1),
    "pr_curve of tensors": lambda w, t: w.add_pr_curve("p", t(LABELS), t(SCORES), 1, 200),
    "pr_curve with weights": lambda w, t: w.add_pr_curve("p", LABELS, SCORES, 1, 30, weights=SCORES),
    "pr_curve_raw": lambda w, t: w.add_pr_curve_raw("p", *np.arange(18.0).reshape(6, 3), 1, num_thresholds=3),
    "multilinechart": lambda w, t: w.add_custom_scalars_multilinechart(["a", "b"]),
    "marginchart": lambda w, t: w.add_custom_scalars_marginchart(["a", "b", "c"], "x", "y"),
    "custom_scalars": lambda w, t: w.add_custom_scalars({"A": {"x": ["Multiline", ["a", "b"]], "y": ["Margin", ["a", "b", "c"]]}}),
    "mesh": lambda w, t: w.add_mesh("m", t(np.ones((1, 4, 3))), t(np.ones((1, 4, 3), int)), t([[[0, 2, 3]]]), {"camera": {}}, 1),
    "mesh of points": lambda w, t: w.add_mesh("m", t(np.ones((1, 4, 3)))),
    "hparams": lambda w, t: w.add_hparams({"lr": 0.1, "n": 3, "name": "sgd", "bias": True, "no": None}, {"hparam/acc": 0.5}, {"n": [1, 3], "name": ["sgd"]}, "run", 2),
}  # fmt: skip


def events(folder) -> dict:
    """The events of all files below a folder, by subfolder, without what differs from run to run."""
    event_pb2 = pytest.importorskip("tensorboard.compat.proto.event_pb2")
    hparams = pytest.importorskip("tensorboard.plugins.hparams.plugin_data_pb2")
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    found = {}
    for path in sorted(Path(folder).rglob("events*")):
        records = []
        for data in loader.RawEventFileLoader(str(path)).Load():
            event = event_pb2.Event.FromString(data)
            event.ClearField("source_metadata")
            if event.wall_time > 1e6:
                event.ClearField("wall_time")
            records.append(event)
            for value in event.summary.value:
                plugin = value.metadata.plugin_data
                if plugin.plugin_name == "hparams":  # its bytes hold a map, which has no order
                    data = hparams.HParamsPluginData.FromString(plugin.content)
                    plugin.content = data.SerializeToString(deterministic=True)
        found.setdefault(str(path.parent.relative_to(folder)), []).extend(records)
    return found


def tensors(torch):
    return lambda value: torch.tensor(value)


@pytest.mark.parametrize("name", CALLS)
def test_same_events_as_pytorch(name, tmp_path):
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("torch.utils.tensorboard")
    for folder, writer, framework in (
        ("ours", SummaryWriter, rushlight),
        ("theirs", theirs.SummaryWriter, torch),
    ):
        with writer(tmp_path / folder) as w:
            CALLS[name](w, tensors(framework))
    ours, expected = events(tmp_path / "ours"), events(tmp_path / "theirs")
    assert sum(map(len, expected.values())) > 1
    assert [*map(str, ours.items())] == [*map(str, expected.items())]


def test_purge_step_suffix_and_closing(tmp_path):
    writer = SummaryWriter(tmp_path, purge_step=5, filename_suffix=".mine")
    writer.add_scalar("a", 1, 5)
    writer.flush()
    (file,) = tmp_path.iterdir()
    assert file.name.endswith(".mine") and str(os.getpid()) in file.name
    written = events(tmp_path)["."]
    assert [(e.step, e.file_version, e.session_log.status) for e in written[1:3]] == [
        (5, "brain.Event:2", 0),
        (5, "", 1),
    ]
    writer.close()
    writer.close()
    writer.add_scalar("a", 2, 6)  # opens another file
    writer.close()
    assert len([*tmp_path.iterdir()]) == 2 and len(events(tmp_path)["."]) == 6


def test_default_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with SummaryWriter(comment="_lr1") as writer:
        assert writer.get_logdir().startswith("runs" + os.sep)
        assert writer.get_logdir().endswith(f"_{socket.gethostname()}_lr1") and os.path.isdir(writer.log_dir)


def test_max_queue_writes_early(tmp_path):
    writer = SummaryWriter(tmp_path, max_queue=3)
    for step in range(4):
        assert len(events(tmp_path)["."]) == 1
        writer.add_scalar("a", step, step)
    assert len(events(tmp_path)["."]) == 5
    writer.close()


def test_read_back_by_tensorboard(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with SummaryWriter(tmp_path) as writer:
        for step in range(5):
            writer.add_scalar("loss", step / 4, step)
        writer.add_histogram("h", VALUES, 1)
        writer.add_image("i", PICTURE, 1)
    found = reader.EventAccumulator(str(tmp_path))
    found.Reload()
    assert [(e.step, e.value) for e in found.Scalars("loss")] == [(i, i / 4) for i in range(5)]
    assert found.Tags()["images"] == ["i"] and found.Histograms("h")[0].histogram_value.num == 200


def test_video_is_a_moving_picture(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    frames = rng.integers(0, 255, (3, 4, 3, 6, 8)).astype(np.uint8)
    with SummaryWriter(tmp_path) as writer:
        writer.add_video("v", rushlight.tensor(frames), 1, fps=5)
    image = events(tmp_path)["."][1].summary.value[0].image
    picture = pillow.open(io.BytesIO(image.encoded_image_string))
    assert (image.height, image.width, image.colorspace) == (6, 32, 3)  # 4 places for 3 videos
    assert (picture.format, picture.n_frames, picture.info["duration"]) == ("GIF", 4, 200)
    theirs = pytest.importorskip("torch.utils.tensorboard._utils")
    from rushlight.utils.tensorboard._utils import prepare_video

    for count in (1, 2, 3, 4, 5, 8):
        video = rng.random((count, 2, 3, 4, 5))
        np.testing.assert_array_equal(prepare_video(video), theirs._prepare_video(video))


def test_figures(tmp_path):
    figure = pytest.importorskip("matplotlib.figure").Figure(figsize=(2, 1), dpi=50)
    figure.subplots().plot([0, 1], [1, 0])
    theirs = pytest.importorskip("torch.utils.tensorboard._utils")
    np.testing.assert_array_equal(figure_to_image(figure), theirs.figure_to_image(figure))
    with SummaryWriter(tmp_path) as writer:
        writer.add_figure("f", figure, 1)
        writer.add_figure("several", [figure, figure], 1)
    one, two = (e.summary.value[0].image for e in events(tmp_path)["."][1:])
    assert (one.width, one.height) == (100, 50) and (two.width, two.height) == (200, 50)


EMBEDDINGS = [
    {},
    {"metadata": ["a", "b", "größer", "d", "e"], "tag": "a/b\\%c", "global_step": 3},
    {
        "metadata": [["x", 1], ["y", 2]] * 2 + [["z", 3]],
        "metadata_header": ["name", "number"],
        "label_img": BATCH,
    },
]


def test_embeddings(tmp_path):
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("torch.utils.tensorboard")
    contents = []
    for folder, writer, framework in (
        ("ours", SummaryWriter, rushlight),
        ("theirs", theirs.SummaryWriter, torch),
    ):
        with writer(tmp_path / folder) as w:
            for arguments in EMBEDDINGS:
                if "label_img" in arguments:
                    arguments = {**arguments, "label_img": framework.tensor(arguments["label_img"])}
                w.add_embedding(framework.arange(10.0).reshape(5, 2) / 3, **{"tag": "t", **arguments})
        files = (p for p in sorted((tmp_path / folder).rglob("*")) if p.is_file() and "events" not in p.name)
        contents.append({str(p.relative_to(tmp_path / folder)): p.read_bytes() for p in files})
    ours, expected = contents
    config = "projector_config.pbtxt"
    projector = pytest.importorskip("tensorboard.plugins.projector.projector_config_pb2")
    text_format = pytest.importorskip("google.protobuf.text_format")
    parse = lambda data: str(text_format.Parse(data.decode(), projector.ProjectorConfig()))
    assert parse(ours.pop(config)) == parse(expected.pop(config))
    assert ours == expected
    with pytest.raises(AssertionError, match="#labels"), SummaryWriter(tmp_path / "bad") as w:
        w.add_embedding(np.zeros((2, 2)), metadata=["a"])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.body = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Dropout())
        self.fc = nn.Linear(36, 10)

    def forward(self, x):
        x = rushlight.flatten(self.body(self.conv(x)), 1)
        return (self.fc(x + x) * 2).log_softmax(1)


def test_graph(tmp_path):
    graph_pb2 = pytest.importorskip("tensorboard.compat.proto.graph_pb2")
    net = Net()
    with SummaryWriter(tmp_path) as writer:
        writer.add_graph(net, rushlight.zeros(2, 1, 8, 8))
    assert net.training and net.body[2].training and all(p.grad is None for p in net.parameters())
    _, graph, run = events(tmp_path)["."]
    assert run.tagged_run_metadata.tag == "step1"
    nodes = {n.name: n for n in graph_pb2.GraphDef.FromString(graph.graph_def).node}
    shape = lambda n: [d.size for d in nodes[n].attr["_output_shapes"].list.shape[0].dim]
    assert [*nodes] == [
        "input/x", "Net/Conv2d[conv]/weight", "Net/Conv2d[conv]/bias", "Net/Conv2d[conv]/conv2d",
        "Net/Sequential[body]/ReLU[0]/relu", "Net/Sequential[body]/MaxPool2d[1]/max_pool2d",
        "Net/Sequential[body]/Dropout[2]/dropout", "Net/flatten", "Net/add", "Net/Linear[fc]/weight",
        "Net/Linear[fc]/bias", "Net/Linear[fc]/linear", "Net/mul", "Net/log_softmax", "output/output.1",
    ]  # fmt: skip
    assert [*nodes["Net/add"].input] == ["Net/flatten", "Net/flatten"] and shape("Net/add") == [2, 36]
    assert nodes["Net/Linear[fc]/linear"].op == "aten::linear" and shape("input/x") == [2, 1, 8, 8]
    assert all(source in nodes for node in nodes.values() for source in node.input)


def test_wrong_arguments(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        for error, message, call in (
            (AssertionError, "one element", lambda: writer.add_scalar("a", [1, 2] * np.ones(2))),
            (NotImplementedError, "numpy array or torch tensor", lambda: writer.add_scalar("a", [1])),
            (ValueError, "no element", lambda: writer.add_histogram("a", np.zeros(0))),
            (ValueError, "none of the values", lambda: writer.add_histogram("a", np.full(2, np.nan))),
            (ValueError, "bucket_limits", lambda: writer.add_histogram_raw("a", 0, 1, 1, 1, 1, [1], [1, 2])),
            (AssertionError, "size of input tensor", lambda: writer.add_image("a", np.zeros((2, 2)))),
            (AssertionError, "shorthand twice", lambda: writer.add_image("a", np.zeros((2, 2)), dataformats="HH")),
            (AssertionError, "3 tags", lambda: writer.add_custom_scalars_marginchart(["a"])),
            (TypeError, "dictionary", lambda: writer.add_hparams([], {})),
            (TypeError, r"hparam_domain_discrete\[a\]", lambda: writer.add_hparams({"a": 1}, {}, {"a": ["b"]})),
            (ValueError, "one of int", lambda: writer.add_hparams({"a": object()}, {})),
            (ValueError, "no field 'stop'", lambda: Event(stop=1)),
        ):  # fmt: skip
            with pytest.raises(error, match=message):
                call()


def test_records():
    assert masked_crc32c(b"") == 0xA282EAD8
    out = io.BytesIO()
    RecordWriter(out).write(b"abc")
    assert len(out.getvalue()) == 8 + 4 + 3 + 4


SCRIPT = """
import sys, torch
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams
import tensorboardX
with SummaryWriter(sys.argv[1]) as w:
    w.add_scalar("a", torch.tensor(1.5), 1)
    for part in hparams({"lr": 0.1}, {"acc": 0}):
        w.file_writer.add_summary(part)
with tensorboardX.SummaryWriter(logdir=sys.argv[1] + "/x") as w:
    w.add_scalar("a", 2, 1, summary_description="loss")
    w.add_scalars("b", {"c": 3.0}, 1, walltime=5.0)
    w.add_hparams({"lr": 0.1}, {"acc": 1.0}, name="run")
    w.export_scalars_to_json(sys.argv[1] + "/all.json")
assert torch.__spec__.name == "rushlight" and tensorboardX.__name__.startswith("rushlight")
"""


def test_runner(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    subprocess.run(
        [sys.executable, "-m", "rushlight", str(script), str(tmp_path / "run")], check=True, timeout=60
    )
    found = events(tmp_path / "run")
    assert {*found} == {".", "x", os.path.join("x", "b", "c"), os.path.join("x", "run")}
    assert found["."][1].summary.value[0].simple_value == 1.5
    assert found["x"][1].summary.value[0].metadata.summary_description == "loss"
    assert "acc" in str(found[os.path.join("x", "run")])
    assert json.loads((tmp_path / "run" / "all.json").read_text()).popitem()[1] == [[5.0, 1, 3.0]]
