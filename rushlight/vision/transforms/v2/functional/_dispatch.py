"""Which function (kernel) a functional calls for which kind of input."""

import functools
import inspect
import sys

from rushlight.tensor import Tensor
from rushlight.vision import tv_tensors
from rushlight.vision.transforms import _functional_pil as F_pil
from rushlight.vision.transforms.functional import InterpolationMode

FUNCTIONALS: dict = {}  # by name


def is_pure_tensor(inpt) -> bool:
    """Whether it is a tensor, and none that says what it is.

    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> F.is_pure_tensor(torch.ones(1))
    True
    """
    return isinstance(inpt, Tensor) and not isinstance(inpt, tv_tensors.TVTensor)


def _parameters(kernel) -> dict:
    return dict(list(inspect.signature(kernel).parameters.items())[1:])


def _on_pixels(kernel):
    """A kernel of plain tensors for images, masks and videos."""

    def call(inpt, arguments):
        out = kernel(tv_tensors.as_kind(inpt, Tensor), **arguments)
        if isinstance(out, tuple):  # the crops of five_crop
            return tuple(tv_tensors.wrap(part, like=inpt) for part in out)
        return tv_tensors.wrap(out, like=inpt)

    return call


def _on_marks(kernel, accepted):
    """A kernel of plain tensors for boxes or points; it gives them, or them and the new size of the picture."""
    wanted = [name for name in ("format", "canvas_size", "clamping_mode") if name in accepted]

    def call(inpt, arguments):
        known = {k: v for k, v in arguments.items() if k in accepted}
        known.update((name, getattr(inpt, name)) for name in wanted)
        out = kernel(tv_tensors.as_kind(inpt, Tensor), **known)
        if isinstance(out, tuple):
            return tv_tensors.wrap(out[0], like=inpt, canvas_size=out[1])
        return tv_tensors.wrap(out, like=inpt)

    return call


def renamed(kernel, name: str):
    """A kernel of images as that of another kind: its name, and that of its first argument."""
    first, *rest = inspect.signature(kernel).parameters.values()
    own = name.rpartition("_")[2]

    def call(*args, **kwargs):
        if own in kwargs:
            kwargs[first.name] = kwargs.pop(own)
        return kernel(*args, **kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = kernel.__doc__
    call.__module__ = kernel.__module__
    call.__signature__ = inspect.Signature([first.replace(name=own), *rest])
    return call


def _mask_kernel(image_kernel, name: str):
    """The kernel of images for masks, also of two dimensions: values are never mixed."""
    parameters = _parameters(image_kernel)
    interpolates = parameters.get("interpolation")
    if name != "resize":
        parameters.pop("interpolation", None)
    parameters.pop("antialias", None)
    exact = InterpolationMode.NEAREST_EXACT

    def kernel(mask, *args, **kwargs):
        kwargs.update(zip(parameters, args, strict=False))
        if interpolates is not None:
            kept = kwargs.get("interpolation") in (exact, exact.value)
            kwargs["interpolation"] = exact if kept else InterpolationMode.NEAREST
        if mask.ndim < 3:
            return image_kernel(mask.unsqueeze(0), **kwargs).squeeze(0)
        return image_kernel(mask, **kwargs)

    first = inspect.Parameter("mask", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    kernel.__signature__ = inspect.Signature([first, *parameters.values()])
    kernel.__name__ = f"{name}_mask"
    kernel.__doc__ = f"`{name}` of a mask given as a plain tensor (..., H, W)."
    return kernel


def functional(doc: str, image, pil=None, mask=False, bounding_boxes=None, keypoints=None, video=True):
    """Make the function that calls the kernel for the kind of its input.

    Args:
        doc: its docstring.
        image: the kernel for plain tensors and images, called NAME_image; its arguments are those of the function.
        pil: the kernel for Pillow's images.
        mask: whether masks are moved as images are, or the function of images to move them by.
        bounding_boxes, keypoints: the kernels for them; they take what they need of the arguments, and of the
            attributes of boxes and points.
        video: whether videos are changed as images are.
    """
    name = image.__name__.removesuffix("_image").removesuffix("_video")
    parameters = _parameters(image)
    defaults = {k: p.default for k, p in parameters.items() if p.default is not inspect.Parameter.empty}
    names = list(parameters)

    def call(inpt, *args, **kwargs):
        return apply(call, inpt, arguments_of(call, args, kwargs))

    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    call.__module__ = "rushlight.vision.transforms.v2.functional"
    signature = inspect.signature(image)
    first, *rest = signature.parameters.values()
    call.__signature__ = signature.replace(parameters=[first.replace(name="inpt"), *rest])
    call.names, call.defaults, call.table, call.kernels = names, defaults, {}, {}
    call.table[Tensor] = lambda inpt, arguments: image(inpt, **arguments)
    if image.__name__.endswith("_image"):
        call.table[tv_tensors.Image] = _on_pixels(image)
        call.kernels["image"] = image
    if video:
        call.table[tv_tensors.Video] = _on_pixels(image)
        call.kernels["video"] = (
            image if name + "_video" == image.__name__ else renamed(image, name + "_video")
        )
    if pil is not None and F_pil.Image is not None:
        accepted = _parameters(pil)
        call.table[F_pil.Image.Image] = lambda inpt, arguments: pil(
            inpt, **{k: v for k, v in arguments.items() if k in accepted}
        )
    if mask:
        kernel = _mask_kernel(image if mask is True else mask, name)
        call.table[tv_tensors.Mask] = _on_pixels(kernel)
        call.kernels["mask"] = kernel
    if bounding_boxes is not None:
        call.table[tv_tensors.BoundingBoxes] = _on_marks(bounding_boxes, _parameters(bounding_boxes))
        call.kernels["bounding_boxes"] = bounding_boxes
    if keypoints is not None:
        call.table[tv_tensors.KeyPoints] = _on_marks(keypoints, _parameters(keypoints))
        call.kernels["keypoints"] = keypoints
    FUNCTIONALS[name] = call
    return call


def arguments_of(call, args, kwargs) -> dict:
    """All arguments of a functional by name, with the defaults."""
    if len(args) > len(call.names) or not all(name in call.names for name in kwargs):
        wrong = [name for name in kwargs if name not in call.names] or f"{len(args) + 1} arguments"
        raise TypeError(f"{call.__name__}() takes (inpt, {', '.join(call.names)}), got {wrong}")
    given = {**call.defaults, **dict(zip(call.names, args, strict=False)), **kwargs}
    if len(given) < len(call.names):
        absent = [name for name in call.names if name not in given]
        raise TypeError(f"{call.__name__}() missing {len(absent)} required arguments: {', '.join(absent)}")
    return given


def kernel_of(call, kind: type):
    """The kernel of a functional for this type, or None."""
    for cls in kind.__mro__:
        if cls in call.table:
            return call.table[cls]
        if cls is tv_tensors.TVTensor:  # what the user derived from it is no plain tensor
            return None
    return None


def apply(call, inpt, arguments: dict, passing: bool = False):
    """The functional of `inpt`; what there is no kernel for is an error, or passes as it is."""
    kernel = kernel_of(call, type(inpt))
    if kernel is not None:
        return kernel(inpt, arguments)
    if passing:
        return inpt
    kinds = ", ".join(cls.__name__ for cls in call.table)
    raise TypeError(
        f"Functional F.{call.__name__} supports inputs of type {kinds}, but got {type(inpt)} instead."
    )


def register_kernel(functional, tv_tensor_cls):
    """A decorator that makes a function the kernel of a functional for your own subclass of `TVTensor`.

    Args:
        functional: the functional, or its name.
        tv_tensor_cls: the subclass. The kernel is called with it and the arguments by name, and wraps its result
            itself.

    Raises:
        ValueError: there is no such functional, it is no such subclass, or it has a kernel already.

    >>> from rushlight.vision import tv_tensors
    >>> from rushlight.vision.transforms.v2 import functional as F
    >>> class Labels(tv_tensors.TVTensor):
    ...     pass
    >>> @F.register_kernel("horizontal_flip", Labels)
    ... def flip_labels(labels):
    ...     return tv_tensors.wrap(labels.flip(0), like=labels)
    >>> F.horizontal_flip(torch.tensor([1, 2]).as_subclass(Labels)).tolist()
    [2, 1]
    """
    if isinstance(functional, str):
        # the namespace has other names for some, as hflip
        found = getattr(sys.modules[__package__], functional, None)
        if found not in FUNCTIONALS.values():
            raise ValueError(
                f"Could not find functional with name '{functional}' in torchvision.transforms.v2.functional."
            )
        functional = found
    elif functional not in FUNCTIONALS.values():
        raise ValueError(
            "Kernels can only be registered on functionals from the torchvision.transforms.v2.functional namespace, "
            f"but got {functional}."
        )
    if not (isinstance(tv_tensor_cls, type) and issubclass(tv_tensor_cls, tv_tensors.TVTensor)):
        raise ValueError(
            "Kernels can only be registered for subclasses of torchvision.tv_tensors.TVTensor, but got "
            f"{tv_tensor_cls}."
        )
    if tv_tensor_cls.__module__ == tv_tensors.__name__:
        raise ValueError(
            f"Kernels cannot be registered for the builtin tv_tensor classes, but got {tv_tensor_cls}"
        )
    if tv_tensor_cls in functional.table:
        raise ValueError(
            f"Functional {functional.__name__} already has a kernel registered for type {tv_tensor_cls}."
        )

    @functools.wraps(register_kernel)
    def decorator(kernel):
        functional.table[tv_tensor_cls] = lambda inpt, arguments: kernel(inpt, **arguments)
        return kernel

    return decorator
