"""Pretrained weights: what is known of them, and reading them from a file."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any
from urllib.parse import urlparse

import ml_dtypes
import numpy as np

import rushlight as torch
from rushlight.vision.datasets.utils import download_url

_HASH = re.compile(r"-([a-f0-9]{8,})\.")  # the beginning of the SHA256 checksum, in a file's name
_SAFETENSORS_TYPES = {
    "BOOL": np.bool_, "U8": np.uint8, "I8": np.int8, "I16": np.int16, "U16": np.uint16, "I32": np.int32,
    "U32": np.uint32, "I64": np.int64, "U64": np.uint64, "F16": np.float16, "BF16": ml_dtypes.bfloat16,
    "F32": np.float32, "F64": np.float64,
}  # fmt: skip
_chosen: list[str] = []  # folders of `set_folder`, the last counts


@dataclass
class Weights:
    """What is known of pretrained weights.

    Args:
        url: where they are.
        transforms: function that makes the transform which images need for them.
        meta: "num_params", "min_size" (height, width), "categories" and so on.
    """

    url: str
    transforms: Callable
    meta: dict[str, Any]

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, Weights):
            return NotImplemented
        return (self.url, self.meta, _parts(self.transforms)) == (
            other.url,
            other.meta,
            _parts(other.transforms),
        )


def _parts(transforms: Callable):
    """Two partials of the same function and arguments aren't equal; their parts are."""
    if isinstance(transforms, partial):
        return transforms.func, transforms.args, transforms.keywords
    return transforms


class WeightsEnum(Enum):
    """The pretrained weights that there are for one model; its values are `Weights`."""

    @classmethod
    def verify(cls, obj: Any) -> Any:
        """`obj` as one of these weights: itself, or a name like "DEFAULT" or "ResNet18_Weights.DEFAULT"; or None.

        Raises:
            TypeError: it is something else, such as another model's weights.
            KeyError: there are no weights of that name.
        """
        if isinstance(obj, str):
            return cls[obj.replace(cls.__name__ + ".", "")]
        if obj is not None and not isinstance(obj, cls):
            raise TypeError(
                f"Invalid Weight class provided; expected {cls.__name__} but received {type(obj).__name__}."
            )
        return obj

    def get_state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The weights themselves, by the names of a model's parameters and buffers.

        Args:
            *args, **kwargs: those of `load_state_dict_from_url` but the first.
        """
        return load_state_dict_from_url(self.url, *args, **kwargs)

    def __reduce_ex__(self, protocol):
        return getattr, (type(self), self._name_)  # by name: values may hold NaN, which equals nothing

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self._name_}"

    @property
    def url(self) -> str:
        """Where the weights are."""
        return self.value.url

    @property
    def transforms(self) -> Callable:
        """Makes the transform that images need for them."""
        return self.value.transforms

    @property
    def meta(self) -> dict[str, Any]:
        """What is known of them."""
        return self.value.meta


def set_folder(path: str) -> None:
    """Look for weights in this folder first, and put downloads there (`torch.hub.set_dir`)."""
    _chosen.append(path)


def checkpoints() -> list[str]:
    """The folders in which weights are looked for; downloads go to the first.

    They are the one of `torch.hub.set_dir`, `checkpoints` in the folder RUSHLIGHT_HOME if that is set, and `hub/checkpoints`
    in PyTorch's: TORCH_HOME, by default ~/.cache/torch.
    """
    cache = os.environ.get("XDG_CACHE_HOME", os.path.join("~", ".cache"))
    folders = [os.path.join(os.environ.get("TORCH_HOME", os.path.join(cache, "torch")), "hub", "checkpoints")]
    if os.environ.get("RUSHLIGHT_HOME"):
        folders.insert(0, os.path.join(os.environ["RUSHLIGHT_HOME"], "checkpoints"))
    if _chosen:
        folders.insert(0, _chosen[-1])
    return [os.path.expanduser(folder) for folder in folders]


def load_state_dict_from_url(
    url: str,
    model_dir: str | None = None,
    map_location=None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = False,
) -> dict[str, Any]:
    """Weights from a file, which is downloaded unless it is there.

    A file of the same name that ends in `.safetensors` instead is taken too.

    Args:
        url: its address.
        model_dir: folder where it is, or is put; by default those of `checkpoints()`.
        map_location: as in `torch.load`.
        progress: show a bar while downloading.
        check_hash: compare a download with the beginning of its SHA256 checksum, which stands in the file's name.
        file_name: the file's name; the last part of the address by default.
        weights_only: as in `torch.load`.

    Raises:
        RuntimeError: it is not there and cannot be downloaded; the message says where to put it.
    """
    name = file_name or os.path.basename(urlparse(url).path)
    folders = checkpoints() if model_dir is None else [os.path.expanduser(model_dir)]
    for folder in folders:
        for path in (
            os.path.join(folder, name),
            os.path.join(folder, os.path.splitext(name)[0] + ".safetensors"),
        ):
            if os.path.exists(path):
                return _load(path, map_location, weights_only)
    digest = _HASH.search(name) if check_hash else None
    download_url(url, folders[0], name, sha256=digest[1] if digest else None, progress=progress)
    return _load(os.path.join(folders[0], name), map_location, weights_only)


def _load(path: str, map_location, weights_only: bool) -> dict[str, Any]:
    if path.endswith(".safetensors"):
        return load_safetensors(path)
    return torch.load(path, map_location=map_location, weights_only=weights_only)


def load_safetensors(path) -> dict[str, Any]:
    """The tensors of a .safetensors file (Hugging Face's format), by name.

    Raises:
        RuntimeError: the file is damaged, or of another format.
    """
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(size)) if size <= os.path.getsize(path) else None
            data = np.frombuffer(file.read(), np.uint8)
            return {name: _tensor(data, entry) for name, entry in header.items() if name != "__metadata__"}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RuntimeError(f"{path}: not a .safetensors file, or a damaged one") from error


def _tensor(data: np.ndarray, entry: dict[str, Any]):
    start, stop = entry["data_offsets"]
    dtype = np.dtype(_SAFETENSORS_TYPES[entry["dtype"]])
    return torch.from_numpy(data[start:stop].copy().view(dtype).reshape(entry["shape"]))
