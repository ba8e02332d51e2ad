"""The parts of `rushlight.serialization`: the zip container, storages, and what runs or refuses pickles."""
