"""The other transforms: types, normalisation, blur, noise, boxes and points, frames."""

import warnings

import numpy as np

import rushlight as torch
from rushlight.dtypes import dtype as Dtype
from rushlight.tensor import Tensor
from rushlight.utils._pytree import tree_flatten, tree_unflatten
from rushlight.vision import tv_tensors
from rushlight.vision.transforms import _containers as v1_containers
from rushlight.vision.transforms import _photometry as v1
from rushlight.vision.transforms._base import setup_size, uniform
from rushlight.vision.transforms._functional_pil import _is_pil_image
from rushlight.vision.transforms.functional import to_tensor
from rushlight.vision.transforms.v2 import functional as F
from rushlight.vision.transforms.v2._base import (
    Transform,
    get_bounding_boxes,
    get_keypoints,
    has_any,
    is_pure_tensor,
    number_or_pair,
    parse_labels_getter,
)
from rushlight.vision.transforms.v2.functional._meta import valid_boxes, valid_points

_PIXELS = (is_pure_tensor, tv_tensors.Image, tv_tensors.Video)


class Identity(Transform):
    """The sample as it is."""

    def transform(self, inpt, params):
        """The input itself."""
        return inpt


class Lambda(Transform):
    """A function as a transform.

    Args:
        lambd: called with each input.
        *types: only inputs of these types are changed; all by default.
    """

    _transformed_types = (object,)

    def __init__(self, lambd, *types):
        super().__init__()
        self.lambd = lambd
        self.types = types or self._transformed_types

    def transform(self, inpt, params):
        """What the function gives."""
        return self.lambd(inpt) if isinstance(inpt, self.types) else inpt

    def extra_repr(self) -> str:
        name = getattr(self.lambd, "__name__", None)
        types = f"types={[kind.__name__ for kind in self.types]}"
        return f"{name}, {types}" if name else types


class _NoPillow(Transform):
    def check_inputs(self, flat_inputs):
        """Pillow images have no floating-point values."""
        if has_any(flat_inputs, _is_pil_image):
            raise TypeError(f"{type(self).__name__}() does not support PIL images.")


class LinearTransformation(_NoPillow):
    """(image - mean_vector) @ transformation_matrix, of the image as one vector: whitening, for example.

    Args:
        transformation_matrix: (D, D), where D = C * H * W.
        mean_vector: (D,).
    """

    _v1_transform_cls = v1.LinearTransformation
    _transformed_types = _PIXELS

    def __init__(self, transformation_matrix, mean_vector):
        super().__init__()
        self._v1 = [v1.LinearTransformation(transformation_matrix, mean_vector)]  # no submodule
        self.transformation_matrix = transformation_matrix
        self.mean_vector = mean_vector

    def transform(self, inpt, params):
        """The input transformed."""
        output = self._v1[0](inpt.as_subclass(Tensor))
        return output if is_pure_tensor(inpt) else tv_tensors.wrap(output, like=inpt)


class Normalize(_NoPillow):
    """(image - mean) / std, for each channel of a floating-point image.

    Args:
        mean, std: one number for each channel.
        inplace: change the tensor itself.
    """

    _v1_transform_cls = v1.Normalize

    def __init__(self, mean, std, inplace=False):
        super().__init__()
        self.mean = list(mean)
        self.std = list(std)
        self.inplace = inplace

    def transform(self, inpt, params):
        """The input normalised."""
        return self._call_kernel(F.normalize, inpt, self.mean, self.std, self.inplace)


class GaussianBlur(Transform):
    """The image blurred by a Gaussian of random width.

    Args:
        kernel_size: odd width, or odd width and height, of the kernel.
        sigma: the standard deviation in pixels, or its range.
    """

    _v1_transform_cls = v1.GaussianBlur

    def __init__(self, kernel_size, sigma=(0.1, 2.0)):
        super().__init__()
        self.kernel_size = setup_size(kernel_size, "Kernel size should be a tuple/list of two integers")
        if any(size <= 0 or size % 2 == 0 for size in self.kernel_size):
            raise ValueError("Kernel size value should be an odd and positive number.")
        self.sigma = number_or_pair(sigma, "sigma")
        if not 0.0 < self.sigma[0] <= self.sigma[1]:
            raise ValueError(f"sigma values should be positive and of the form (min, max). Got {self.sigma}")

    def make_params(self, flat_inputs):
        """Draws the standard deviation."""
        return {"sigma": [uniform(*self.sigma)] * 2}

    def transform(self, inpt, params):
        """The input blurred."""
        return self._call_kernel(F.gaussian_blur, inpt, self.kernel_size, **params)


class GaussianNoise(Transform):
    """The image with normal noise added.

    Args:
        mean, sigma: of the noise, where 1 is the whole range of values.
        clip: cut the result to that range.

    >>> from rushlight.vision.transforms import v2
    >>> v2.GaussianNoise(sigma=0.0)(torch.full((1, 1, 1), 0.5))
    tensor([[[0.5000]]])
    """

    def __init__(self, mean=0.0, sigma=0.1, clip=True):
        super().__init__()
        self.mean = mean
        self.sigma = sigma
        self.clip = clip

    def transform(self, inpt, params):
        """The input with noise."""
        return self._call_kernel(F.gaussian_noise, inpt, self.mean, self.sigma, self.clip)


class ToDtype(Transform):
    """Images and videos in another type; or each kind of input in its own.

    Args:
        dtype: the type of images and videos, or a dict of types by the kind of input, with the key "others" for the
            rest; None leaves an input as it is.
        scale: scale images and videos from the whole range of the one type to that of the other.

    >>> from rushlight.vision.transforms import v2
    >>> v2.ToDtype(torch.float32, scale=True)(torch.tensor([[[51]]], dtype=torch.uint8))
    tensor([[[0.2000]]])
    """

    _transformed_types = (Tensor,)

    def __init__(self, dtype, scale=False):
        super().__init__()
        if not isinstance(dtype, (dict, Dtype)):
            raise ValueError(f"dtype must be a dict or a torch.dtype, got {type(dtype)} instead")
        if isinstance(dtype, dict) and Tensor in dtype and {tv_tensors.Image, tv_tensors.Video} & set(dtype):
            warnings.warn(
                "Got `dtype` values for `torch.Tensor` and either `tv_tensors.Image` or `tv_tensors.Video`. Note that a "
                "plain `torch.Tensor` will *not* be transformed by this (or any other transformation) in case a "
                "`tv_tensors.Image` or `tv_tensors.Video` is present in the input.",
                stacklevel=2,
            )
        self.dtype = dtype
        self.scale = scale

    def transform(self, inpt, params):
        """The input in its type."""
        pixels = is_pure_tensor(inpt) or isinstance(inpt, (tv_tensors.Image, tv_tensors.Video))
        if isinstance(self.dtype, Dtype):
            return self._call_kernel(F.to_dtype, inpt, self.dtype, self.scale) if pixels else inpt
        if type(inpt) not in self.dtype and "others" not in self.dtype:
            raise ValueError(
                f"No dtype was specified for type {type(inpt)}. If you only need to convert the dtype of images or "
                "videos, you can just pass e.g. dtype=torch.float32. If you're passing a dict as dtype, you can use "
                '"others" as a catch-all key e.g. dtype={tv_tensors.Mask: torch.int64, "others": None} to pass-through '
                "the rest of the inputs."
            )
        dtype = self.dtype[type(inpt)] if type(inpt) in self.dtype else self.dtype["others"]
        if dtype is not None:
            return self._call_kernel(F.to_dtype, inpt, dtype, self.scale)
        if self.scale and pixels:
            warnings.warn(
                "scale was set to True but no dtype was specified for images or videos: no scaling will be done.",
                stacklevel=2,
            )
        return inpt


class ConvertImageDtype(Transform):
    """Images in another type, with values scaled; deprecated: use `ToDtype(dtype, scale=True)`."""

    _v1_transform_cls = v1_containers.ConvertImageDtype

    def __init__(self, dtype=torch.float32):
        super().__init__()
        self.dtype = dtype

    def transform(self, inpt, params):
        """The input in the type."""
        return self._call_kernel(F.to_dtype, inpt, self.dtype, True)


# -- boxes and points -----------------------------------------------------------------------------------


def _labels(found, count: int, what: str) -> tuple:
    """The labels of a sample as a tuple of tensors with an entry for each box or point."""
    if found is None:
        return ()
    labels = (found,) if isinstance(found, Tensor) else found
    if not isinstance(labels, (tuple, list)):
        raise ValueError(
            f"The labels in the input to forward() must be a tensor or None, got {type(found)} instead."
        )
    for label in labels:
        if not isinstance(label, Tensor):
            raise ValueError(
                f"The labels in the input to forward() must be a tensor or None, got {type(label)} instead."
            )
        if label.shape[0] != count:
            raise ValueError(
                f"Number of {what} ({count}) must match the number of labels. Found labels with shape={label.shape}."
            )
    return tuple(labels)


class _Sanitizing(Transform):
    """What leaves out boxes or points that have become invalid, with their labels."""

    _kept: tuple = ()  # the kinds that are filtered besides the labels

    def forward(self, *inputs):
        """The sample without what is invalid."""
        inputs = inputs if len(inputs) > 1 else inputs[0]
        found = self._labels_getter(inputs)
        flat, spec = tree_flatten(inputs)
        valid, what = self._valid(flat)
        params = {"valid": valid, "labels": _labels(found, valid.shape[0], what)}
        return tree_unflatten([self.transform(inpt, params) for inpt in flat], spec)

    def transform(self, inpt, params):
        """The input without what is invalid."""
        if any(inpt is label for label in params["labels"]):
            return inpt[params["valid"]]
        if not isinstance(inpt, self._kept):
            return inpt
        if isinstance(inpt, tv_tensors.Mask) and inpt.shape[0] != params["valid"].shape[0]:
            return inpt  # of the whole picture, not of one object each
        return tv_tensors.wrap(inpt.as_subclass(Tensor)[params["valid"]], like=inpt)


class SanitizeBoundingBoxes(_Sanitizing):
    """Boxes that are too small or not in their picture left out, with their labels and masks.

    Args:
        min_size: the least width and height.
        min_area: the least area.
        labels_getter: a function from the sample to its labels, or to a tuple of them; None for none; by default they
            are what a dict calls "labels".

    >>> from rushlight.vision import tv_tensors
    >>> from rushlight.vision.transforms import v2
    >>> boxes = tv_tensors.BoundingBoxes([[1, 1, 5, 5], [2, 2, 2, 2]], format="XYXY", canvas_size=(9, 9))
    >>> v2.SanitizeBoundingBoxes()({"boxes": boxes, "labels": torch.tensor([3, 4])})["labels"]
    tensor([3])
    """

    _kept = (tv_tensors.BoundingBoxes, tv_tensors.Mask)

    def __init__(self, min_size=1.0, min_area=1.0, labels_getter="default"):
        super().__init__()
        if min_size < 1:
            raise ValueError(f"min_size must be >= 1, got {min_size}.")
        self.min_size = min_size
        if min_area < 1:
            raise ValueError(f"min_area must be >= 1, got {min_area}.")
        self.min_area = min_area
        self.labels_getter = labels_getter
        self._labels_getter = parse_labels_getter(labels_getter)

    def _valid(self, flat):
        boxes = get_bounding_boxes(flat)
        plain = boxes.as_subclass(Tensor)
        return valid_boxes(plain, boxes.format, boxes.canvas_size, self.min_size, self.min_area), "boxes"


class SanitizeKeyPoints(_Sanitizing):
    """Points, or groups of them, that are not in their picture left out, with their labels.

    Args:
        labels_getter: a function from the sample to its labels, or to a tuple of them; "default" for what a dict calls
            "labels".
    """

    _kept = (tv_tensors.KeyPoints,)

    def __init__(self, labels_getter=None):
        super().__init__()
        self.labels_getter = labels_getter
        self._labels_getter = parse_labels_getter(labels_getter)

    def _valid(self, flat):
        points = get_keypoints(flat)
        return valid_points(points.as_subclass(Tensor), points.canvas_size), "keypoints"


class ConvertBoundingBoxFormat(Transform):
    """Boxes in another format.

    Args:
        format: a `BoundingBoxFormat`, or its name.
    """

    _transformed_types = (tv_tensors.BoundingBoxes,)

    def __init__(self, format):
        super().__init__()
        self.format = format

    def transform(self, inpt, params):
        """The boxes in the format."""
        return F.convert_bounding_box_format(inpt, new_format=self.format)


class ClampBoundingBoxes(Transform):
    """Boxes cut to their picture.

    Args:
        clamping_mode: "soft", "hard", None, or "auto" for the boxes' own.
    """

    _transformed_types = (tv_tensors.BoundingBoxes,)

    def __init__(self, clamping_mode="auto"):
        super().__init__()
        self.clamping_mode = clamping_mode

    def transform(self, inpt, params):
        """The boxes cut."""
        return F.clamp_bounding_boxes(inpt, clamping_mode=self.clamping_mode)


class ClampKeyPoints(Transform):
    """Points moved into their picture."""

    _transformed_types = (tv_tensors.KeyPoints,)

    def transform(self, inpt, params):
        """The points moved."""
        return F.clamp_keypoints(inpt)


class SetClampingMode(Transform):
    """What happens to boxes that later transforms move out of the picture.

    Args:
        clamping_mode: "soft" or "hard" cut them, None leaves them.
    """

    _transformed_types = (tv_tensors.BoundingBoxes,)

    def __init__(self, clamping_mode):
        super().__init__()
        if clamping_mode not in (None, "soft", "hard"):
            raise ValueError(f"clamping_mode must be soft, hard or None, got {clamping_mode}")
        self.clamping_mode = clamping_mode

    def transform(self, inpt, params):
        """The boxes with the mode."""
        return tv_tensors.wrap(inpt.clone(), like=inpt, clamping_mode=self.clamping_mode)


# -- kinds ----------------------------------------------------------------------------------------------


def _is_array(inpt) -> bool:
    return isinstance(inpt, np.ndarray)


class PILToTensor(Transform):
    """Pillow images as tensors (C, H, W) of their own type, not scaled."""

    _transformed_types = (_is_pil_image,)

    def transform(self, inpt, params):
        """The image as a tensor."""
        return F.pil_to_tensor(inpt)


class ToImage(Transform):
    """Tensors, Pillow images and arrays (H, W, C) as `tv_tensors.Image`, not scaled."""

    _transformed_types = (is_pure_tensor, _is_pil_image, _is_array)

    def transform(self, inpt, params):
        """The input as an image."""
        return F.to_image(inpt)


class ToPILImage(Transform):
    """Tensors (C, H, W) and arrays (H, W, C) as Pillow images.

    Args:
        mode: Pillow's name of the colour space; by default that of as many channels.
    """

    _transformed_types = (is_pure_tensor, tv_tensors.Image, _is_array)

    def __init__(self, mode=None):
        super().__init__()
        self.mode = mode

    def transform(self, inpt, params):
        """The input as a Pillow image."""
        return F.to_pil_image(inpt, mode=self.mode)


class ToPureTensor(Transform):
    """Images, masks, boxes and so on as plain tensors."""

    _transformed_types = (tv_tensors.TVTensor,)

    def transform(self, inpt, params):
        """The input as a plain tensor."""
        return inpt.as_subclass(Tensor)


class ToTensor(Transform):
    """v1's: 8-bit values become 0…1; deprecated: use `Compose([ToImage(), ToDtype(torch.float32, scale=True)])`."""

    _transformed_types = (_is_pil_image, _is_array)

    def __init__(self):
        warnings.warn(
            "The transform `ToTensor()` is deprecated and will be removed in a future release. Instead, please use "
            "`v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])`.Output is equivalent up to float "
            "precision.",
            stacklevel=2,
        )
        super().__init__()

    def transform(self, inpt, params):
        """The picture as a tensor."""
        return to_tensor(inpt)


class UniformTemporalSubsample(Transform):
    """Frames of a video at even distances.

    Args:
        num_samples: how many.
    """

    _transformed_types = (Tensor,)

    def __init__(self, num_samples):
        super().__init__()
        self.num_samples = num_samples

    def transform(self, inpt, params):
        """The frames."""
        return self._call_kernel(F.uniform_temporal_subsample, inpt, self.num_samples)
