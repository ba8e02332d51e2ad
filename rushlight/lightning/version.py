"""The Lightning release whose names we have."""

__version__ = version = "2.6.6"
