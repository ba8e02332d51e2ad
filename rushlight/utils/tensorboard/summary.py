"""Values as the messages that are written to event files; see `SummaryWriter` for what they mean."""

import io
import json
import math
import struct
import wave
from importlib import import_module

import numpy as np

import rushlight as torch
from rushlight.utils.tensorboard import messages as m
from rushlight.utils.tensorboard._convert_np import make_np
from rushlight.utils.tensorboard._utils import convert_to_HWC, prepare_video

__all__ = [
    "audio", "compute_curve", "custom_scalars", "draw_boxes", "half_to_int", "histogram", "histogram_raw", "hparams",
    "image", "image_boxes", "int_to_half", "make_histogram", "make_image", "make_video", "mesh", "pr_curve",
    "pr_curve_raw", "scalar", "tensor_proto", "text", "video",
]  # fmt: skip


def _summary(tag: str, **fields) -> m.Message:
    return m.Summary(value=[m.Value(tag=tag, **fields)])


def _plugin(name: str, data: m.Message | None = None, **fields) -> m.Message:
    content = None if data is None else data.SerializeToString()
    return m.SummaryMetadata(plugin_data=m.PluginData(plugin_name=name, content=content), **fields)


def _shape(sizes) -> m.Message:
    return m.TensorShapeProto(dim=[m.Dim(size=size) for size in sizes])


def _floats(array) -> m.Message:
    """An array as a tensor of floats."""
    return m.TensorProto(
        dtype=m.DTYPES["float32"], float_val=array.reshape(-1).tolist(), tensor_shape=_shape(array.shape)
    )


def scalar(name: str, tensor, collections=None, new_style: bool = False, double_precision: bool = False):
    """A number."""
    number = _one(tensor)
    if not new_style:
        return _summary(name, simple_value=_as_float32(number))
    kind, field = ("float64", "double_val") if double_precision else ("float32", "float_val")
    tensor = m.TensorProto(dtype=m.DTYPES[kind], **{field: [number]})
    return _summary(name, tensor=tensor, metadata=_plugin("scalars"))


def scalars(values: dict):
    """Several numbers of the same step, by name."""
    return m.Summary(value=[m.Value(tag=tag, simple_value=_as_float32(_one(x))) for tag, x in values.items()])


def _one(tensor) -> float:
    """The only number of a tensor, an array or a number."""
    if type(tensor) is float:
        return tensor
    array = make_np(tensor).squeeze()
    if array.ndim:
        raise AssertionError(
            f"Tensor should contain one element (0 dimensions). Was given shape {list(array.shape)}."
        )
    return float(array)


def _as_float32(number: float) -> float:
    """The number, or infinity where float32 ends, as Protocol Buffers have it."""
    try:
        return struct.unpack("f", struct.pack("f", number))[0]
    except OverflowError:
        return math.copysign(math.inf, number)


def half_to_int(f: float) -> int:
    """The bits of a float32 as a whole number."""
    return struct.unpack("i", struct.pack("f", f))[0]


def int_to_half(i: int) -> float:
    """The reverse of `half_to_int`."""
    return struct.unpack("f", struct.pack("i", i))[0]


#: The field of a TensorProto that holds values of a type.
_FIELDS = {
    "float16": "half_val", "bfloat16": "half_val", "float32": "float_val", "float64": "double_val", "int8": "int_val",
    "uint8": "uint32_val", "int16": "int_val", "int32": "int_val", "int64": "int64_val", "bool": "bool_val",
    "complex64": "scomplex_val", "complex128": "dcomplex_val",
}  # fmt: skip


def tensor_proto(tag: str, tensor):
    """A whole tensor."""
    kind = str(tensor.dtype).removeprefix("torch.").removeprefix("rushlight.")
    if kind not in _FIELDS:
        raise ValueError(f"{tag} has unsupported tensor dtype {tensor.dtype}")
    if tensor.numel() * tensor.itemsize >= 1 << 31:
        raise ValueError("tensor is bigger than protocol buffer's hard limit of 2GB in size")
    flat = tensor.detach()
    values = (torch.view_as_real(flat) if flat.is_complex() else flat).flatten().tolist()
    if _FIELDS[kind] == "half_val":
        values = [half_to_int(value) for value in values]
    proto = m.TensorProto(dtype=m.DTYPES[kind], tensor_shape=_shape(tensor.shape), **{_FIELDS[kind]: values})
    return _summary(tag, tensor=proto, metadata=_plugin("tensor"))


def histogram_raw(name: str, min, max, num, sum, sum_squares, bucket_limits, bucket_counts):
    """A histogram that was counted elsewhere."""
    return _summary(
        name,
        histo=m.HistogramProto(
            min=min,
            max=max,
            num=num,
            sum=sum,
            sum_squares=sum_squares,
            bucket_limit=bucket_limits,
            bucket=bucket_counts,
        ),
    )


def histogram(name: str, values, bins, max_bins: int | None = None):
    """A histogram of values."""
    return _summary(name, histo=make_histogram(make_np(values).astype(float), bins, max_bins))


def make_histogram(values: np.ndarray, bins, max_bins: int | None = None):
    """Count values.

    Args:
        values: the values.
        bins: limits of the bins, or a name of a rule of `numpy.histogram`.
        max_bins: neighbouring bins are joined where there are more.
    """
    if values.size == 0:
        raise ValueError("The input has no element.")
    values = values.reshape(-1)
    counts, limits = np.histogram(values, bins=bins)
    if max_bins is not None and len(counts) > max_bins:
        joined = len(counts) // max_bins
        if len(counts) % joined:
            counts = np.pad(counts, (0, joined - len(counts) % joined))
        counts = counts.reshape(-1, joined).sum(axis=-1)
        limits = np.append(limits[:-1:joined], limits[-1])
    filled = np.flatnonzero(counts)
    if not filled.size:
        raise ValueError("The histogram is empty: none of the values lies in a bin")
    # Only right limits are written: an empty bin in front gives the left limit of the first.
    first, last = filled[0], filled[-1]
    return m.HistogramProto(
        min=values.min(), max=values.max(), num=len(values), sum=values.sum(), sum_squares=values.dot(values),
        bucket_limit=limits[first : last + 2].tolist(), bucket=[0, *counts[first : last + 1].tolist()],
    )  # fmt: skip


def _as_bytes(array: np.ndarray) -> np.ndarray:
    """Values from 0 to 1 as 0 to 255; uint8 as they are."""
    scale = 1 if array.dtype == np.uint8 else 255
    return (array.astype(np.float32) * scale).clip(0, 255).astype(np.uint8)


def image(tag: str, tensor, rescale: float = 1, dataformats: str = "NCHW"):
    """A picture, or several as a grid."""
    pixels = _as_bytes(convert_to_HWC(make_np(tensor), dataformats))
    return _summary(tag, image=make_image(pixels, rescale=rescale))


def image_boxes(
    tag: str, tensor_image, tensor_boxes, rescale: float = 1, dataformats: str = "CHW", labels=None
):
    """A picture with boxes."""
    pixels = _as_bytes(convert_to_HWC(make_np(tensor_image), dataformats))
    return _summary(tag, image=make_image(pixels, rescale=rescale, rois=make_np(tensor_boxes), labels=labels))


def _pillow(name: str):
    try:
        return import_module(f"PIL.{name}")
    except ImportError as error:
        raise ImportError(
            f"Pillow is needed to write pictures, and it cannot be imported ({error}). "
            "Install it: pip install rushlight[tensorboard]"
        ) from error


def draw_boxes(disp_image, boxes: np.ndarray, labels=None):
    """Draw boxes (x1, y1, x2, y2) in red on a Pillow picture, with labels at their bottom."""
    draw = _pillow("ImageDraw").Draw(disp_image)
    font = _pillow("ImageFont").load_default()
    for i, (left, top, right, bottom) in enumerate(boxes[:, :4].tolist()):
        corners = [(left, top), (left, bottom), (right, bottom), (right, top), (left, top)]
        draw.line(corners, width=2, fill="Red")
        if labels is not None and labels[i]:
            x1, y1, x2, y2 = font.getbbox(labels[i])
            margin = np.ceil(0.05 * (y2 - y1))
            top_of_text = bottom - (y2 - y1) - margin
            draw.rectangle([(left, top_of_text - margin), (left + x2 - x1, bottom)], fill="Red")
            draw.text((left + margin, top_of_text), labels[i], fill="black", font=font)
    return disp_image


def make_image(tensor: np.ndarray, rescale: float = 1, rois=None, labels=None):
    """A picture (H, W, C) of uint8 as PNG."""
    pillow = _pillow("Image")
    height, width, channels = tensor.shape
    picture = pillow.fromarray(np.ascontiguousarray(tensor))
    if rois is not None:
        picture = draw_boxes(picture, rois, labels=labels)
    size = int(width * rescale), int(height * rescale)
    out = io.BytesIO()
    picture.resize(size, pillow.Resampling.LANCZOS).save(out, format="PNG")
    return m.Image(height=height, width=width, colorspace=channels, encoded_image_string=out.getvalue())


def video(tag: str, tensor, fps: float = 4):
    """Videos (N, T, C, H, W) as one moving picture."""
    return _summary(tag, image=make_video(_as_bytes(prepare_video(make_np(tensor))), fps))


def make_video(tensor: np.ndarray, fps: float):
    """Frames (T, H, W, C) of uint8 as GIF."""
    _, height, width, channels = tensor.shape
    shown = tensor[..., 0] if channels == 1 else tensor
    first, *rest = [_pillow("Image").fromarray(np.ascontiguousarray(frame)) for frame in shown]
    out = io.BytesIO()
    first.save(out, format="GIF", save_all=True, append_images=rest, duration=1000 / fps, loop=0)
    return m.Image(height=height, width=width, colorspace=channels, encoded_image_string=out.getvalue())


def audio(tag: str, tensor, sample_rate: int = 44100):
    """Sound as a 16-bit WAV file."""
    array = make_np(tensor).squeeze()
    if array.ndim != 1:
        raise AssertionError("input tensor should be 1 dimensional.")
    if abs(array).max() > 1:
        print("warning: audio amplitude out of range, auto clipped.")
        array = array.clip(-1, 1)
    samples = (array * np.iinfo(np.int16).max).astype("<i2")
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(samples.tobytes())
    sound = m.Audio(
        sample_rate=sample_rate, num_channels=1, length_frames=len(samples), encoded_audio_string=out.getvalue(),
        content_type="audio/wav",
    )  # fmt: skip
    return _summary(tag, audio=sound)


def text(tag: str, text: str):
    """Text, as Markdown."""
    tensor = m.TensorProto(dtype=m.DTYPES["string"], string_val=[text], tensor_shape=_shape([1]))
    return _summary(tag + "/text_summary", metadata=_plugin("text", m.TextPluginData()), tensor=tensor)


def custom_scalars(layout: dict):
    """How charts of several scalars are laid out."""
    categories = [
        m.Category(title=title, chart=[_chart(name, *properties[:2]) for name, properties in charts.items()])
        for title, charts in layout.items()
    ]
    tensor = m.TensorProto(
        dtype=m.DTYPES["string"], string_val=[m.Layout(category=categories)], tensor_shape=_shape([])
    )
    return _summary("custom_scalars__config__", tensor=tensor, metadata=_plugin("custom_scalars"))


def _chart(title: str, kind: str, tags: list):
    if kind != "Margin":
        return m.Chart(title=title, multiline=m.MultilineChartContent(tag=tags))
    if len(tags) != 3:
        raise AssertionError(f"a chart with margins takes 3 tags (value, lower, upper), got {len(tags)}")
    series = m.MarginSeries(value=tags[0], lower=tags[1], upper=tags[2])
    return m.Chart(title=title, margin=m.MarginChartContent(series=[series]))


_MOST_THRESHOLDS = 127  # TensorBoard reads no more


def pr_curve_raw(tag: str, tp, fp, tn, fn, precision, recall, num_thresholds: int = 127, weights=None):
    """A precision-recall curve that was counted elsewhere."""
    data = np.stack([make_np(values) for values in (tp, fp, tn, fn, precision, recall)])
    plugin = m.PrCurvePluginData(num_thresholds=min(num_thresholds, _MOST_THRESHOLDS))
    return _summary(tag, metadata=_plugin("pr_curves", plugin), tensor=_floats(data))


def pr_curve(tag: str, labels, predictions, num_thresholds: int = 127, weights=None):
    """A precision-recall curve."""
    num_thresholds = min(num_thresholds, _MOST_THRESHOLDS)
    data = compute_curve(labels, predictions, num_thresholds=num_thresholds, weights=weights)
    return pr_curve_raw(tag, *data, num_thresholds=num_thresholds)


def compute_curve(labels, predictions, num_thresholds: int | None = None, weights=None) -> np.ndarray:
    """Count what is right at each threshold.

    Args:
        labels: 0 and 1, or booleans.
        predictions: probabilities of 1.
        num_thresholds: how many thresholds from 0 to 1.
        weights: of the samples.
    Returns:
        Rows of true positives, false positives, true negatives, false negatives, precision and recall.

    >>> import numpy as np
    >>> from rushlight.utils.tensorboard.summary import compute_curve
    >>> compute_curve(np.array([1, 0, 1]), np.array([0.9, 0.4, 0.2]), num_thresholds=3)[-2:].round(3).tolist()
    [[0.667, 1.0, 0.0], [1.0, 0.5, 0.0]]
    """
    least = 1e-7
    places = np.floor(predictions * (num_thresholds - 1)).astype(np.int32)
    weights = np.broadcast_to(1.0 if weights is None else weights, labels.shape)
    right, wrong = (
        np.histogram(places, num_thresholds, (0, num_thresholds - 1), weights=share * weights)[0]
        for share in (labels.astype(np.float64), 1.0 - labels.astype(np.float64))
    )
    tp, fp = (np.cumsum(counts[::-1])[::-1] for counts in (right, wrong))
    tn, fn = fp[0] - fp, tp[0] - tp
    return np.stack((tp, fp, tn, fn, tp / np.maximum(least, tp + fp), tp / np.maximum(least, tp + fn)))


_MESH_KINDS = {"VERTEX": 1, "FACE": 2, "COLOR": 3}


def mesh(tag: str, vertices, colors, faces, config_dict=None, display_name=None, description=None):
    """Points, or a surface, in space."""
    parts = {"VERTEX": vertices, "FACE": faces, "COLOR": colors}
    parts = {kind: torch.as_tensor(tensor) for kind, tensor in parts.items() if tensor is not None}
    components = sum(1 << _MESH_KINDS[kind] for kind in parts)
    config = "{}" if config_dict is None else json.dumps(config_dict, sort_keys=True)
    values = []
    for kind, tensor in parts.items():
        if tensor.dim() != 3:
            raise ValueError(f"Tensor shape should be of shape BxNx3, but got {list(tensor.shape)}.")
        plugin = m.MeshPluginData(
            name=tag,
            content_type=_MESH_KINDS[kind],
            json_config=config,
            shape=tensor.shape,
            components=components,
        )
        metadata = _plugin("mesh", plugin, display_name=display_name, summary_description=description)
        values.append(m.Value(tag=f"{tag}_{kind}", tensor=_floats(tensor), metadata=metadata))
    return m.Summary(value=values)


def hparams(hparam_dict: dict, metric_dict: dict, hparam_domain_discrete: dict | None = None):
    """The hyperparameters and the names of the metrics of a run.

    Returns:
        Three summaries: what there is, that the run began, and that it ended.
    Raises:
        TypeError: something is no dictionary, or a domain is no list of values of the hyperparameter's type.
        ValueError: a value is neither a number, text, bool nor tensor.
    """
    domains = {} if hparam_domain_discrete is None else hparam_domain_discrete
    for name, given in (
        ("hparam_dict", hparam_dict), ("metric_dict", metric_dict), ("hparam_domain_discrete", domains),
    ):  # fmt: skip
        if not isinstance(given, dict):
            raise TypeError(f"parameter: {name} should be a dictionary, nothing logged.")
    for key, domain in domains.items():
        if not (
            key in hparam_dict
            and isinstance(domain, list)
            and all(isinstance(value, type(hparam_dict[key])) for value in domain)
        ):
            raise TypeError(
                f"parameter: hparam_domain_discrete[{key}] should be a list of same type as hparam_dict[{key}]."
            )
    entries, infos = [], []
    for key, value in hparam_dict.items():
        if value is None:
            continue
        entries.append(m.HParamEntry(key=key, value=_any_value(value)))
        domain = m.ListValue(values=[_any_value(v) for v in domains[key]]) if key in domains else None
        kind = m.HPARAM_STRING if isinstance(value, str) else m.HPARAM_NUMBER
        infos.append(m.HParamInfo(name=key, type=kind, domain_discrete=domain))
    metrics = [m.MetricInfo(name=m.MetricName(tag=key)) for key in metric_dict]
    parts = {
        "experiment": m.Experiment(hparam_infos=infos, metric_infos=metrics),
        "session_start_info": m.SessionStartInfo(hparams=entries),
        "session_end_info": m.SessionEndInfo(status=m.STATUS_SUCCESS),
    }
    return tuple(
        _summary(f"_hparams_/{name}", metadata=_plugin("hparams", m.HParamsPluginData(**{name: part})))
        for name, part in parts.items()
    )


def _any_value(value):
    if isinstance(value, str):
        return m.AnyValue(string_value=value)
    if isinstance(value, bool | int | float):
        return m.AnyValue(number_value=float(value))
    if isinstance(value, torch.Tensor | np.generic | np.ndarray):
        return m.AnyValue(number_value=float(make_np(value).reshape(-1)[0]))
    raise ValueError(
        f"value should be one of int, float, str, bool, or torch.Tensor, got {type(value).__name__}"
    )
