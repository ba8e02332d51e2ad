"""Devices of Intel's kind, of which this version has none, as of Apple's."""

from rushlight.mps import device_count, empty_cache, is_available, manual_seed

__all__ = ["device_count", "empty_cache", "is_available", "manual_seed"]
