"""What transforms of whole samples share: which parts are changed, and how settings are checked."""

import enum
import numbers
from collections.abc import Mapping, Sequence

import rushlight as torch
from rushlight.nn import Module
from rushlight.tensor import Tensor
from rushlight.utils._pytree import tree_flatten, tree_unflatten
from rushlight.vision import tv_tensors
from rushlight.vision.transforms._functional_pil import _is_pil_image
from rushlight.vision.transforms.v2 import functional as F
from rushlight.vision.transforms.v2.functional._dispatch import apply, arguments_of, is_pure_tensor

IMAGES = (is_pure_tensor, tv_tensors.Image, tv_tensors.Video, _is_pil_image)


class Transform(Module):
    """A transform of a sample: an image, or tuples, lists and dicts of images, masks, boxes, points and other things.

    Derive your own from it: `make_params` draws what the whole sample shares, `transform` changes one input. Plain
    tensors are images: the first of a sample that has no other image, and none where there is one.

    >>> from rushlight.vision import tv_tensors
    >>> from rushlight.vision.transforms import v2
    >>> class Darker(v2.Transform):
    ...     def make_params(self, flat_inputs):
    ...         return {"factor": 0.5}
    ...     def transform(self, inpt, params):
    ...         return inpt * params["factor"]
    >>> Darker()({"image": torch.ones(1, 1, 1), "label": 3})
    {'image': tensor([[[0.5000]]]), 'label': 3}
    """

    _transformed_types: tuple = (Tensor, _is_pil_image)
    _v1_transform_cls: type | None = None

    def __init__(self):
        super().__init__()

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if cls._v1_transform_cls is not None and hasattr(cls._v1_transform_cls, "get_params"):
            cls.get_params = staticmethod(cls._v1_transform_cls.get_params)

    def check_inputs(self, flat_inputs: list) -> None:
        """Raise where the sample is not what the transform can take; override it."""

    def make_params(self, flat_inputs: list) -> dict:
        """Draw what all inputs of the sample share; override it."""
        return {}

    def transform(self, inpt, params: dict):
        """Change one input; override it."""
        raise NotImplementedError(f"{type(self).__name__} has no method transform(inpt, params)")

    def _call_kernel(self, functional, inpt, *args, **kwargs):
        """The functional of an input; what it has no kernel for is left as it is."""
        return apply(functional, inpt, arguments_of(functional, args, kwargs), passing=True)

    def forward(self, *inputs):
        """The sample, given as one or as several inputs, changed."""
        inputs = inputs if len(inputs) > 1 else inputs[0]
        if isinstance(inputs, Tensor) or _is_pil_image(inputs):
            return self._transformed_one(inputs)
        flat, spec = tree_flatten(inputs)
        self.check_inputs(flat)
        return self._transformed(flat, spec) if self._applies() else inputs

    def _transformed_one(self, inpt):
        """The usual case, a sample of nothing but one picture, without the cost of nesting."""
        self.check_inputs([inpt])
        if not self._applies():
            return inpt
        needs = check_type(inpt, self._transformed_types)
        params = self.make_params([inpt] if needs else [])
        return self.transform(inpt, params) if needs else inpt

    def _applies(self) -> bool:
        return True

    def _transformed(self, flat: list, spec):
        changed = self._needs_transform_list(flat)
        params = self.make_params([inpt for inpt, needs in zip(flat, changed, strict=True) if needs])
        out = [
            self.transform(inpt, params) if needs else inpt for inpt, needs in zip(flat, changed, strict=True)
        ]
        return tree_unflatten(out, spec)

    def _needs_transform_list(self, flat: list) -> list[bool]:
        pure_wanted = not has_any(flat, tv_tensors.Image, tv_tensors.Video, _is_pil_image)
        changed = []
        for inpt in flat:
            needs = check_type(inpt, self._transformed_types)
            if needs and is_pure_tensor(inpt):
                needs, pure_wanted = pure_wanted, False
            changed.append(needs)
        return changed

    def extra_repr(self) -> str:
        """The settings that are numbers, texts and the like."""
        return ", ".join(
            f"{name}={value}"
            for name, value in self.__dict__.items()
            if not name.startswith("_")
            and name != "training"
            and isinstance(value, (bool, int, float, str, tuple, list, enum.Enum))
        )


class RandomApplied(Transform):
    """A transform that leaves the sample as it is, except with probability `p`."""

    def __init__(self, p=0.5):
        if not 0.0 <= p <= 1.0:
            raise ValueError("`p` should be a floating point value in the interval [0.0, 1.0].")
        super().__init__()
        self.p = p

    def _applies(self) -> bool:
        return bool(torch.rand(1) < self.p)


# -- what is in a sample --------------------------------------------------------------------------------


def check_type(obj, types_or_checks: tuple) -> bool:
    """Whether it is of one of the types, or one of the checks says so."""
    for check in types_or_checks:  # noqa: SIM110 (a generator would take twice as long)
        if isinstance(obj, check) if isinstance(check, type) else check(obj):
            return True
    return False


def has_any(flat_inputs: list, *types_or_checks) -> bool:
    """Whether an input is of one of the types."""
    return any(check_type(inpt, types_or_checks) for inpt in flat_inputs)


def has_all(flat_inputs: list, *types_or_checks) -> bool:
    """Whether there is an input of each of the types."""
    return all(has_any(flat_inputs, check) for check in types_or_checks)


def _first(flat_inputs: list, kind: type, what: str):
    for inpt in flat_inputs:
        if isinstance(inpt, kind):
            return inpt
    raise ValueError(f"No {what} were found in the sample")


def get_bounding_boxes(flat_inputs: list) -> tv_tensors.BoundingBoxes:
    """The boxes of a sample.

    Raises:
        ValueError: there are none.
    """
    return _first(flat_inputs, tv_tensors.BoundingBoxes, "bounding boxes")


def get_keypoints(flat_inputs: list) -> tv_tensors.KeyPoints:
    """The points of a sample.

    Raises:
        ValueError: there are none.
    """
    return _first(flat_inputs, tv_tensors.KeyPoints, "keypoints")


def _only(sizes: set, found: str, names: str):
    if not sizes:
        raise TypeError(f"No {found} was found in the sample")
    if len(sizes) > 1:
        listed = ", ".join(map(str, sorted(sizes)))
        raise ValueError(f"Found multiple {names} dimensions in the sample: {listed}")
    return sizes.pop()


def query_chw(flat_inputs: list) -> tuple[int, int, int]:
    """Channels, height and width of all images and videos of a sample.

    Raises:
        TypeError: there are none. ValueError: they differ.
    """
    found = {tuple(F.get_dimensions(inpt)) for inpt in flat_inputs if check_type(inpt, IMAGES)}
    return _only(found, "image or video", "CxHxW")


def query_size(flat_inputs: list) -> tuple[int, int]:
    """Height and width of all that has them in a sample.

    Raises:
        TypeError: there is nothing. ValueError: they differ.
    """
    kinds = (*IMAGES, tv_tensors.Mask, tv_tensors.BoundingBoxes, tv_tensors.KeyPoints)
    found = {tuple(F.get_size(inpt)) for inpt in flat_inputs if check_type(inpt, kinds)}
    return _only(found, "image, video, mask, bounding box of keypoint", "HxW")


def _default_labels(inputs):
    """The labels of a sample: its second item, or what a dict calls so."""
    if isinstance(inputs, (tuple, list)):
        inputs = inputs[1]
    if is_pure_tensor(inputs):
        return inputs
    if not isinstance(inputs, Mapping):
        raise ValueError(
            "When using the default labels_getter, the input passed to forward must be a dictionary or a two-tuple "
            f"whose second item is a dictionary or a tensor, but got {inputs} instead."
        )
    keys = [key for key in inputs if key.lower() == "labels"] or [k for k in inputs if "label" in k.lower()]
    if not keys:
        raise ValueError(
            "Could not infer where the labels are in the sample. Try passing a callable as the labels_getter parameter?"
            "If there are no labels in the sample by design, pass labels_getter=None."
        )
    return inputs[keys[0]]


def parse_labels_getter(labels_getter):
    """A function from a sample to its labels."""
    if labels_getter == "default":
        return _default_labels
    if callable(labels_getter):
        return labels_getter
    if labels_getter is None:
        return lambda _: None
    raise ValueError(
        f"labels_getter should either be 'default', a callable, or None, but got {labels_getter}."
    )


# -- settings -------------------------------------------------------------------------------------------


def number_or_pair(arg, name: str) -> list[float]:
    """One number, or a sequence of one or two, as two."""
    if isinstance(arg, (int, float)):
        return [float(arg)] * 2
    if not isinstance(arg, Sequence):
        raise TypeError(f"{name} should be a number or a sequence of numbers. Got {type(arg)}")
    if len(arg) not in (1, 2):
        raise ValueError(f"If {name} is a sequence its length should be 1 or 2. Got {len(arg)}")
    for element in arg:
        if not isinstance(element, (int, float)):
            raise ValueError(f"{name} should be a sequence of numbers. Got {type(element)}")
    return [float(arg[0]), float(arg[-1])]


def setup_fill(fill) -> dict:
    """Colours by the type of input; one for all is that of "others"."""
    if isinstance(fill, dict):
        return {kind: _colour(value) for kind, value in fill.items()}
    return {"others": _colour(fill)}


def _colour(fill):
    if fill is None or isinstance(fill, (int, float)):
        return fill
    if not isinstance(fill, (numbers.Number, tuple, list)):
        raise TypeError("Got inappropriate fill arg, only Numbers, tuples, lists and dicts are allowed.")
    return [float(value) for value in fill]


def fill_of(fills: dict, kind: type):
    """The colour for this type of input."""
    return fills[kind] if kind in fills else fills.get("others")


def check_padding(padding) -> None:
    """Refuse what is no padding."""
    fine = (
        len(padding) in (1, 2, 4) and all(isinstance(p, int) for p in padding)
        if isinstance(padding, (tuple, list))
        else isinstance(padding, int)
    )
    if not fine:
        raise ValueError(f"Padding must be an int or a 1, 2, or 4 element of tuple or list, got {padding}.")


def check_padding_mode(padding_mode) -> None:
    """Refuse what is no mode of padding."""
    if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
