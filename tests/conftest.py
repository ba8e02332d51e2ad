"""Settings of all tests."""

from hypothesis import settings

settings.register_profile("quiet", deadline=None, derandomize=True)
settings.load_profile("quiet")
