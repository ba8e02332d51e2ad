"""Where time and memory go: `profile`, `record_function`, and tables and traces of what they saw."""

from rushlight.profiler.events import EventList, FunctionEvent, FunctionEventAvg
from rushlight.profiler.profile import (
    ProfilerAction,
    ProfilerActivity,
    profile,
    schedule,
    supported_activities,
    tensorboard_trace_handler,
)
from rushlight.profiler.recorder import record_function

__all__ = [
    "EventList", "FunctionEvent", "FunctionEventAvg", "ProfilerAction", "ProfilerActivity", "profile",
    "record_function", "schedule", "supported_activities", "tensorboard_trace_handler",
]  # fmt: skip

import rushlight.autograd.profiler  # noqa: F401  # so that `torch.autograd.profiler` is there, too
