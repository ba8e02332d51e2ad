"""The messages that event files consist of, and how they are written as bytes (Protocol Buffers' wire format).

Each message lists its fields as `number kind name`; `*` marks those that repeat. Field numbers are those of TensorBoard's
.proto files; only fields that are written here are listed.
"""

import struct

#: How one number of a kind is packed; kinds of whole numbers are of varying length instead.
_PACKED = {"double": ("<d", 1), "float": ("<f", 5)}
_WHOLE = ("int", "bool")
_SHORT = [bytes([value]) for value in range(128)]


class Message:
    """A record of named fields; those that are None are not written."""

    FIELDS: dict = {}

    def __init__(self, **fields):
        if not fields.keys() <= self.FIELDS.keys():
            unknown = min(fields.keys() - self.FIELDS.keys())
            raise ValueError(f"{type(self).__name__} has no field {unknown!r}; it has {[*self.FIELDS]}")
        self.__dict__.update(fields)

    def SerializeToString(self) -> bytes:
        """The message as bytes."""
        parts = []
        for name, (number, kind, repeats) in self.FIELDS.items():
            value = getattr(self, name)
            if value is not None:
                parts.append((_repeated if repeats else _single)(number, kind, value))
        return b"".join(parts)


def _varint(value: int) -> bytes:
    """A whole number, seven bits to a byte, the lowest first; a negative one as its 64-bit complement."""
    if 0 <= value < 128:
        return _SHORT[value]
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _sized(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _bytes(value) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return value if isinstance(value, bytes) else value.SerializeToString()


def _single(number: int, kind: str, value) -> bytes:
    if kind in _PACKED:
        form, wire = _PACKED[kind]
        return _varint(number << 3 | wire) + struct.pack(form, value)
    if kind in _WHOLE:
        return _varint(number << 3) + _varint(int(value))
    return _sized(number, _bytes(value))


def _repeated(number: int, kind: str, values) -> bytes:
    values = list(values)
    if not values:
        return b""
    if kind in _PACKED:
        return _sized(number, struct.pack(f"<{len(values)}{_PACKED[kind][0][1]}", *values))
    if kind in _WHOLE:
        return _sized(number, b"".join(_varint(int(value)) for value in values))
    return b"".join(_sized(number, _bytes(value)) for value in values)


def _message(name: str, fields: str) -> type:
    """A kind of message."""
    table = {}
    for field in fields.split(","):
        number, kind, field_name = field.split()
        table[field_name.lstrip("*")] = (int(number), kind, field_name.startswith("*"))
    described = {"FIELDS": table, "__doc__": f"The fields {', '.join(table)}."}
    return type(name, (Message,), dict.fromkeys(table) | described)


# What an event file is a sequence of.
Event = _message(
    "Event",
    "1 double wall_time, 2 int step, 3 bytes file_version, 4 bytes graph_def, 5 bytes summary, 7 bytes session_log,"
    "8 bytes tagged_run_metadata, 10 bytes source_metadata",
)
SessionLog = _message("SessionLog", "1 int status")
SESSION_START = 1
SourceMetadata = _message("SourceMetadata", "1 bytes writer")
TaggedRunMetadata = _message("TaggedRunMetadata", "1 bytes tag, 2 bytes run_metadata")

# Values.
Summary = _message("Summary", "1 bytes *value")
Value = _message(
    "Value",
    "1 bytes tag, 2 float simple_value, 4 bytes image, 5 bytes histo, 6 bytes audio, 8 bytes tensor, 9 bytes metadata",
)
Image = _message("Image", "1 int height, 2 int width, 3 int colorspace, 4 bytes encoded_image_string")
Audio = _message(
    "Audio",
    "1 float sample_rate, 2 int num_channels, 3 int length_frames, 4 bytes encoded_audio_string, 5 bytes content_type",
)
HistogramProto = _message(
    "HistogramProto",
    "1 double min, 2 double max, 3 double num, 4 double sum, 5 double sum_squares, 6 double *bucket_limit,"
    "7 double *bucket",
)
SummaryMetadata = _message(
    "SummaryMetadata", "1 bytes plugin_data, 2 bytes display_name, 3 bytes summary_description"
)
PluginData = _message("PluginData", "1 bytes plugin_name, 2 bytes content")
TensorShapeProto = _message("TensorShapeProto", "2 bytes *dim")
Dim = _message("Dim", "1 int size")
TensorProto = _message(
    "TensorProto",
    "1 int dtype, 2 bytes tensor_shape, 5 float *float_val, 6 double *double_val, 7 int *int_val, 8 bytes *string_val,"
    "9 float *scomplex_val, 10 int *int64_val, 11 bool *bool_val, 12 double *dcomplex_val, 13 int *half_val,"
    "16 int *uint32_val",
)
#: Numbers of types of a TensorProto.
DTYPES = {
    "float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "string": 7, "complex64": 8, "int64": 9,
    "bool": 10, "bfloat16": 14, "complex128": 18, "float16": 19,
}  # fmt: skip

# Graphs.
GraphDef = _message("GraphDef", "1 bytes *node, 4 bytes versions")
NodeDef = _message("NodeDef", "1 bytes name, 2 bytes op, 3 bytes *input, 5 bytes *attr")
AttrEntry = _message("AttrEntry", "1 bytes key, 2 bytes value")
AttrValue = _message("AttrValue", "1 bytes list, 2 bytes s")
ShapeList = _message("ShapeList", "7 bytes *shape")
VersionDef = _message("VersionDef", "1 int producer")
RunMetadata = _message("RunMetadata", "1 bytes step_stats")
StepStats = _message("StepStats", "1 bytes *dev_stats")
DeviceStepStats = _message("DeviceStepStats", "1 bytes device")

# What plugins keep with values.
TextPluginData = _message("TextPluginData", "1 int version")
PrCurvePluginData = _message("PrCurvePluginData", "1 int version, 2 int num_thresholds")
MeshPluginData = _message(
    "MeshPluginData", "2 bytes name, 3 int content_type, 5 bytes json_config, 6 int *shape, 7 int components"
)
Layout = _message("Layout", "2 bytes *category")
Category = _message("Category", "1 bytes title, 2 bytes *chart")
Chart = _message("Chart", "1 bytes title, 2 bytes multiline, 3 bytes margin")
MultilineChartContent = _message("MultilineChartContent", "1 bytes *tag")
MarginChartContent = _message("MarginChartContent", "1 bytes *series")
MarginSeries = _message("MarginSeries", "1 bytes value, 2 bytes lower, 3 bytes upper")
HParamsPluginData = _message(
    "HParamsPluginData", "2 bytes experiment, 3 bytes session_start_info, 4 bytes session_end_info"
)
Experiment = _message("Experiment", "4 bytes *hparam_infos, 5 bytes *metric_infos")
HParamInfo = _message("HParamInfo", "1 bytes name, 4 int type, 5 bytes domain_discrete")
MetricInfo = _message("MetricInfo", "1 bytes name")
MetricName = _message("MetricName", "2 bytes tag")
SessionStartInfo = _message("SessionStartInfo", "1 bytes *hparams")
HParamEntry = _message("HParamEntry", "1 bytes key, 2 bytes value")
SessionEndInfo = _message("SessionEndInfo", "1 int status")
STATUS_SUCCESS = 1
HPARAM_STRING, HPARAM_NUMBER = 1, 3
AnyValue = _message("AnyValue", "2 double number_value, 3 bytes string_value")
ListValue = _message("ListValue", "1 bytes *values")
