"""Profilers of the trainer: where a run spends its time."""

from rushlight.lightning.profilers import profiler as base
from rushlight.lightning.profilers.advanced import AdvancedProfiler
from rushlight.lightning.profilers.profiler import PassThroughProfiler, Profiler
from rushlight.lightning.profilers.pytorch import PyTorchProfiler
from rushlight.lightning.profilers.simple import SimpleProfiler

__all__ = ["AdvancedProfiler", "PassThroughProfiler", "Profiler", "PyTorchProfiler", "SimpleProfiler", "base"]
