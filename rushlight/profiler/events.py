"""What a profile saw: events, their sums by name, and tables of them in PyTorch's form."""

_UNITS = {"s": 1e6, "ms": 1e3, "us": 1.0}


def _time(us: float, unit: str | None = None) -> str:
    """Microseconds as text, in a unit that suits their size where none is given."""
    if unit not in _UNITS:
        unit = "s" if us >= 1e6 else "ms" if us >= 1e3 else "us"
    return f"{us / _UNITS[unit]:.3f}{unit}"


def _bytes(n: int) -> str:
    """A number of bytes as text."""
    for unit, name in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")):
        if abs(n) >= unit:
            return f"{n / unit:.2f} {name}"
    return f"{n} B"


class _Times:
    """Texts of the times that an event or a sum of events has, in microseconds."""

    use_device = None
    device_time_total = self_device_time_total = device_time = 0.0

    @property
    def cpu_time_str(self) -> str:
        """The average time as text."""
        return _time(self.cpu_time)

    @property
    def cpu_time_total_str(self) -> str:
        """The time as text."""
        return _time(self.cpu_time_total)

    @property
    def self_cpu_time_total_str(self) -> str:
        """The time without that of inner events, as text."""
        return _time(self.self_cpu_time_total)


class FunctionEvent(_Times):
    """One call of one operation: when it began and ended, and what was called inside it.

    Attributes: `name`, `trace_name` (with the number of a step), `thread`, `input_shapes`, `cpu_parent`,
    `cpu_children`, `cpu_time_total`, `self_cpu_time_total` (microseconds), `cpu_memory_usage`,
    `self_cpu_memory_usage` (bytes).
    """

    count = 1

    def __init__(self, name: str, thread: int, input_shapes: list, is_user_annotation: bool = False):
        self.trace_name = name
        self.name = self.key = "ProfilerStep*" if name.startswith("ProfilerStep#") else name  # steps add up
        self.thread, self.input_shapes, self.is_user_annotation = thread, input_shapes, is_user_annotation
        self.start = self.end = self.memory = 0
        self.cpu_parent, self.cpu_children = None, []

    @property
    def cpu_time_total(self) -> float:
        """The time from beginning to end, in microseconds."""
        return (self.end - self.start) / 1e3

    cpu_time = cpu_time_total

    @property
    def self_cpu_time_total(self) -> float:
        """The time without that of inner events, in microseconds."""
        return self.cpu_time_total - sum(child.cpu_time_total for child in self.cpu_children)

    @property
    def cpu_memory_usage(self) -> int:
        """Bytes allocated less bytes freed."""
        return self.memory

    @property
    def self_cpu_memory_usage(self) -> int:
        """The same without inner events."""
        return self.memory - sum(child.memory for child in self.cpu_children)

    def __repr__(self) -> str:
        return (
            f"<FunctionEvent name={self.name} cpu_time={self.cpu_time_str} input_shapes={self.input_shapes}>"
        )


class FunctionEventAvg(_Times):
    """All events of one name (and one list of shapes, where grouped so)."""

    def __init__(self, key: str, input_shapes="", cpu_parent=None):
        self.key, self.input_shapes, self.cpu_parent = key, input_shapes, cpu_parent
        self.count = 0
        self.cpu_time_total = self.self_cpu_time_total = 0.0
        self.cpu_memory_usage = self.self_cpu_memory_usage = 0

    def add(self, event) -> "FunctionEventAvg":
        """Add one event."""
        self.count += event.count
        self.self_cpu_time_total += event.self_cpu_time_total
        self.self_cpu_memory_usage += event.self_cpu_memory_usage
        if not _inside_its_like(event):  # a recursive call's time is in that of the outer one already
            self.cpu_time_total += event.cpu_time_total
            self.cpu_memory_usage += event.cpu_memory_usage
        return self

    @property
    def cpu_time(self) -> float:
        """The average time, in microseconds."""
        return self.cpu_time_total / self.count if self.count else 0.0

    def __repr__(self) -> str:
        return (
            f"<FunctionEventAvg key={self.key} self_cpu_time={self.self_cpu_time_total_str} "
            f"cpu_time={self.cpu_time_str}  input_shapes={self.input_shapes} "
            f"cpu_memory_usage={self.cpu_memory_usage}>"
        )


def _inside_its_like(event) -> bool:
    parent = getattr(event, "cpu_parent", None)
    while parent is not None:
        if parent.key == event.key:
            return True
        parent = parent.cpu_parent
    return False


class EventList(list):
    """Events, or sums of events."""

    profile_memory = False

    def key_averages(self, group_by_input_shape: bool = False, **_) -> "EventList":
        """The events summed by name, and by shapes where asked for."""
        sums: dict = {}
        for event in self:
            shapes = str(event.input_shapes) if group_by_input_shape else ""
            average = sums.get((event.key, shapes))
            if average is None:
                parent = getattr(event, "cpu_parent", None)
                average = sums[event.key, shapes] = FunctionEventAvg(event.key, shapes, parent)
            average.add(event)
        made = EventList(sums.values())
        made.profile_memory, made.by_shape = self.profile_memory, group_by_input_shape
        return made

    by_shape = False

    @property
    def self_cpu_time_total(self) -> float:
        """The time of all events, without what is counted twice, in microseconds."""
        return sum(event.self_cpu_time_total for event in self)

    def total_average(self) -> FunctionEventAvg:
        """All events as one."""
        total = FunctionEventAvg("Total")
        for event in self:
            total.add(event)
        return total

    def table(
        self, sort_by=None, row_limit=100, max_src_column_width=75, max_name_column_width=55,
        max_shapes_column_width=80, header=None, top_level_events_only=False, time_unit=None,
    ) -> str:  # fmt: skip
        """A table, as PyTorch prints it.

        Args:
            sort_by: "cpu_time", "cpu_time_total", "self_cpu_time_total", "cpu_memory_usage",
                "self_cpu_memory_usage" or "count": the largest first.
            row_limit: the most rows; -1 for all.
            max_name_column_width, max_shapes_column_width: longer texts are cut; None for any width.
            header: a line above.
            top_level_events_only: leave out events inside others.
            time_unit: "s", "ms" or "us"; by size where None.
        Raises:
            AttributeError: there is no such column.
        """
        if not self:
            return ""
        rows = list(self)
        if sort_by is not None:
            key = sort_by.replace("cuda_", "device_")
            rows.sort(key=lambda event: getattr(event, key), reverse=True)
        if top_level_events_only:
            rows = [event for event in rows if getattr(event, "cpu_parent", None) is None]
        total, time = self.self_cpu_time_total, lambda us: _time(us, time_unit)
        columns = self._columns(total, time, max_name_column_width, max_shapes_column_width)
        rule = "".join("-" * width + "  " for _, width, _ in columns)
        line = lambda texts: "".join(
            f"{text:>{width}}  " for text, (_, width, _) in zip(texts, columns, strict=True)
        )
        double = "=" * (len(rule) - 2)
        top = [] if header is None else [double, header]
        if top_level_events_only:
            top += [double, "This report only display top-level ops statistics"]
        cells = [
            line([cell(event) for _, _, cell in columns])
            for event in rows[: None if row_limit < 0 else row_limit]
        ]
        lines = [*top, rule, line([title for title, _, _ in columns]), rule, *cells, rule]
        return "\n".join(lines) + f"\nSelf CPU time total: {time(total)}\n"

    def _columns(self, total: float, time, name_width: int | None, shape_width: int | None) -> list:
        """(title, width, the text of an event) of each column."""
        share = lambda us: f"{100 * us / total:.2f}%" if total else "NaN"
        width = lambda texts, most: min(max(map(len, texts)) + 4, most or 10**9)
        columns = [
            ("Name", width([e.key for e in self], name_width), lambda e: _cut(e.key, name_width)),
            ("Self CPU %", 12, lambda e: share(e.self_cpu_time_total)),
            ("Self CPU", 12, lambda e: time(e.self_cpu_time_total)),
            ("CPU total %", 12, lambda e: share(e.cpu_time_total)),
            ("CPU total", 12, lambda e: time(e.cpu_time_total)),
            ("CPU time avg", 12, lambda e: time(e.cpu_time)),
        ]
        if self.profile_memory:
            columns += [
                ("CPU Mem", 12, lambda e: _bytes(e.cpu_memory_usage)),
                ("Self CPU Mem", 12, lambda e: _bytes(e.self_cpu_memory_usage)),
            ]
        columns.append(("# of Calls", 12, lambda e: str(e.count)))
        if self.by_shape:
            shapes = width([str(e.input_shapes) for e in self], shape_width)
            columns.append(("Input Shapes", shapes, lambda e: str(e.input_shapes)[:shapes]))
        return columns

    def __str__(self) -> str:
        return self.table()

    def trace(self) -> dict:
        """The events in Chrome's trace format."""
        first = min((e.start for e in self), default=0)
        return {
            "schemaVersion": 1,
            "displayTimeUnit": "ms",
            "traceEvents": [
                {
                    "ph": "X", "cat": "user_annotation" if e.is_user_annotation else "cpu_op", "name": e.trace_name,
                    "pid": 0, "tid": e.thread, "ts": (e.start - first) / 1e3, "dur": e.cpu_time_total,
                    "args": {"Input Dims": e.input_shapes},
                }
                for e in self
            ],
        }  # fmt: skip

    def export_chrome_trace(self, path: str) -> None:
        """Write the events for chrome://tracing or Perfetto; compressed where the path ends in ".gz"."""
        import gzip
        import json
        import os

        data = json.dumps(self.trace()).encode()
        part = f"{path}.part"
        with open(part, "wb") as file:
            file.write(gzip.compress(data) if str(path).endswith(".gz") else data)
        os.replace(part, path)


def _cut(text: str, width: int | None) -> str:
    return text if not width or len(text) < width - 3 else text[: width - 3] + "..."
