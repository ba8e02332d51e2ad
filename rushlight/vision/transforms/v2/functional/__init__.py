"""Transforms as functions without chance, of images, videos, masks, boxes and points.

Each takes what it knows a kernel for: `horizontal_flip(image)`, `horizontal_flip(boxes)`. The kernels, functions of
plain tensors, are there too: `horizontal_flip_image`, `horizontal_flip_mask`, `horizontal_flip_bounding_boxes` and so on.
"""

from rushlight.vision.transforms.functional import InterpolationMode, pil_to_tensor, to_pil_image
from rushlight.vision.transforms.v2.functional import _color, _geometry, _meta, _misc
from rushlight.vision.transforms.v2.functional._dispatch import FUNCTIONALS, is_pure_tensor, register_kernel

_KINDS = ("_image", "_video", "_mask", "_bounding_boxes", "_keypoints")
_OTHERS = [
    "hflip", "vflip", "to_grayscale", "elastic_transform", "get_image_num_channels", "convert_bounding_box_format",
    "clamp_bounding_boxes", "clamp_keypoints", "sanitize_bounding_boxes", "sanitize_keypoints", "convert_image_dtype",
    "to_tensor", "get_image_size",
]  # fmt: skip
for _module in (_color, _geometry, _meta, _misc):
    for _name, _value in vars(_module).items():
        if (_name.endswith(_KINDS) and callable(_value)) or _name in _OTHERS:
            globals()[_name] = _value
for _name, _function in list(FUNCTIONALS.items()):
    globals()[_name] = _function
    for _kind, _kernel in _function.kernels.items():
        globals()[f"{_name}_{_kind}"] = _kernel

__all__ = ["InterpolationMode", "is_pure_tensor", "pil_to_tensor", "register_kernel", "to_pil_image"]
__all__ += [name for name in globals() if name.endswith(_KINDS) and name[0] != "_" and name not in __all__]
__all__ += [*_OTHERS, *FUNCTIONALS]
