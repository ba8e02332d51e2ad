"""Checkpoints that several processes write as files of safetensors; not supported."""

from rushlight.distributed.checkpoint import _INSTEAD

__all__ = ["HuggingFaceStorageReader", "HuggingFaceStorageWriter"]


class HuggingFaceStorageReader:
    """Reads such checkpoints.

    Raises:
        NotImplementedError: always; use `safetensors.torch.load_file`.
    """

    def __init__(self, path: str, *args, **kwargs):
        raise NotImplementedError(f"{type(self).__name__}: {_INSTEAD}, or safetensors.torch")


class HuggingFaceStorageWriter(HuggingFaceStorageReader):
    """Writes such checkpoints.

    Raises:
        NotImplementedError: always; use `safetensors.torch.save_file`.
    """
