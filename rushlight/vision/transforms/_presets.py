"""What pretrained networks want done to a picture: the transforms of their weights."""

import rushlight as torch
from rushlight.nn import Module
from rushlight.tensor import Tensor
from rushlight.vision.transforms import functional as F
from rushlight.vision.transforms.functional import InterpolationMode

__all__ = [
    "ImageClassification",
    "ObjectDetection",
    "OpticalFlow",
    "SemanticSegmentation",
    "VideoClassification",
]

_ACCEPTS = "Accepts ``PIL.Image``, batched ``(B, C, H, W)`` and single ``(C, H, W)`` image ``torch.Tensor`` objects. The images "


def _to_float(img):
    img = img if isinstance(img, Tensor) else F.pil_to_tensor(img)
    return F.convert_image_dtype(img, torch.float)


class ObjectDetection(Module):
    """A picture as a float tensor with values from 0 to 1."""

    def forward(self, img):
        return _to_float(img)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def describe(self) -> str:
        """What is done, in words."""
        return _ACCEPTS + "are rescaled to ``[0.0, 1.0]``."


class _Normalised(Module):
    """Resize, crop where there is a size for it, scale to 0..1 and normalise."""

    crop_size = None

    def __init__(self, resize_size, mean, std, interpolation, antialias):
        super().__init__()
        self.resize_size = None if resize_size is None else [resize_size]
        self.mean = list(mean)
        self.std = list(std)
        self.interpolation = interpolation
        self.antialias = antialias

    def forward(self, img):
        if self.resize_size is not None:
            img = F.resize(img, self.resize_size, interpolation=self.interpolation, antialias=self.antialias)
        if self.crop_size is not None:
            img = F.center_crop(img, self.crop_size)
        return F.normalize(_to_float(img), mean=self.mean, std=self.std)

    def __repr__(self) -> str:
        names = ["crop_size"] * (self.crop_size is not None)
        names += ["resize_size", "mean", "std", "interpolation"]
        lines = [f"\n    {name}={getattr(self, name)}" for name in names]
        return f"{type(self).__name__}({''.join(lines)}\n)"

    def _resizing(self) -> str:
        return (
            f"are resized to ``resize_size={self.resize_size}`` using ``interpolation={self.interpolation}``"
        )

    def _scaling(self) -> str:
        return (
            "Finally the values are first rescaled to ``[0.0, 1.0]`` and then normalized using "
            f"``mean={self.mean}`` and ``std={self.std}``."
        )


class ImageClassification(_Normalised):
    """A picture as networks for classification take it: resized, its centre cut out, normalised.

    Args:
        crop_size: height and width of the result.
        resize_size: the shorter side before the crop.
        mean: of the channels; subtracted.
        std: of the channels; divided by.
        interpolation: of the resizing.
        antialias: smooth tensors while making them smaller, as is always done to Pillow's images.

    >>> from rushlight.vision.transforms._presets import ImageClassification
    >>> ImageClassification(crop_size=224)(torch.zeros(3, 300, 400, dtype=torch.uint8)).shape
    torch.Size([3, 224, 224])
    """

    def __init__(
        self,
        *,
        crop_size: int,
        resize_size: int = 256,
        mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ):
        super().__init__(resize_size, mean, std, interpolation, antialias)
        self.crop_size = [crop_size]

    def describe(self) -> str:
        """What is done, in words."""
        crop = f"followed by a central crop of ``crop_size={self.crop_size}``"
        return f"{_ACCEPTS}{self._resizing()}, {crop}. {self._scaling()}"


class SemanticSegmentation(_Normalised):
    """A picture as networks for segmentation take it: resized and normalised.

    Args:
        resize_size: the shorter side; None to keep the size.
        mean: of the channels; subtracted.
        std: of the channels; divided by.
        interpolation: of the resizing.
        antialias: smooth tensors while making them smaller, as is always done to Pillow's images.
    """

    def __init__(
        self,
        *,
        resize_size: int | None,
        mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ):
        super().__init__(resize_size, mean, std, interpolation, antialias)

    def describe(self) -> str:
        """What is done, in words."""
        return f"{_ACCEPTS}{self._resizing()}. {self._scaling()}"


class VideoClassification(Module):
    """A film as networks for its classification take it: resized, the centre cut out, normalised, channels before time.

    Args:
        crop_size: height and width of the result.
        resize_size: height and width before the crop.
        mean: of the channels; subtracted.
        std: of the channels; divided by.
        interpolation: of the resizing.
    """

    def __init__(
        self,
        *,
        crop_size: tuple[int, int],
        resize_size: tuple[int] | tuple[int, int],
        mean: tuple[float, ...] = (0.43216, 0.394666, 0.37645),
        std: tuple[float, ...] = (0.22803, 0.22145, 0.216989),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    ):
        super().__init__()
        self.crop_size = list(crop_size)
        self.resize_size = list(resize_size)
        self.mean = list(mean)
        self.std = list(std)
        self.interpolation = interpolation

    def forward(self, vid):
        """(N, T, C, H, W), or (T, C, H, W), to (N, C, T, H, W), or (C, T, H, W)."""
        lead, pictures = vid.shape[:-3], vid.reshape(-1, *vid.shape[-3:])
        # As when the weights were trained: tensors are not smoothed.
        pictures = F.resize(pictures, self.resize_size, interpolation=self.interpolation, antialias=False)
        pictures = F.convert_image_dtype(F.center_crop(pictures, self.crop_size), torch.float)
        pictures = F.normalize(pictures, mean=self.mean, std=self.std)
        return pictures.reshape(*lead, *pictures.shape[1:]).transpose(-4, -3)

    def __repr__(self) -> str:
        names = ("crop_size", "resize_size", "mean", "std", "interpolation")
        lines = [f"\n    {name}={getattr(self, name)}" for name in names]
        return f"{type(self).__name__}({''.join(lines)}\n)"

    def describe(self) -> str:
        """What is done, in words."""
        return (
            "Accepts batched ``(B, T, C, H, W)`` and single ``(T, C, H, W)`` video frame ``torch.Tensor`` objects. "
            f"The frames are resized to ``resize_size={self.resize_size}`` using ``interpolation={self.interpolation}``, "
            f"followed by a central crop of ``crop_size={self.crop_size}``. Finally the values are first rescaled to "
            f"``[0.0, 1.0]`` and then normalized using ``mean={self.mean}`` and ``std={self.std}``. Finally the output "
            "dimensions are permuted to ``(..., C, T, H, W)`` tensors."
        )


class OpticalFlow(Module):
    """What networks for optical flow want: both pictures as floats between -1 and 1."""

    def forward(self, img1, img2):
        """Two pictures or tensors (..., 3, H, W) to two tensors."""
        pictures = (img if isinstance(img, Tensor) else F.pil_to_tensor(img) for img in (img1, img2))
        pictures = (F.convert_image_dtype(img, torch.float) for img in pictures)
        half = [0.5, 0.5, 0.5]
        return tuple(F.normalize(img, mean=half, std=half).contiguous() for img in pictures)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def describe(self) -> str:
        """What is done, in words."""
        return (
            "Accepts ``PIL.Image``, batched ``(B, C, H, W)`` and single ``(C, H, W)`` image ``torch.Tensor`` objects. "
            "The images are rescaled to ``[-1.0, 1.0]``."
        )
