"""Picture files to tensors and back; Pillow does the coding."""

import io
from enum import Enum

import numpy as np

import rushlight as rl
from rushlight.vision.utils import _pillow, _to_pil


class ImageReadMode(Enum):
    """What pictures are converted to when they are read: UNCHANGED, GRAY, GRAY_ALPHA, RGB, or RGB_ALPHA alias RGBA."""

    UNCHANGED = 0
    GRAY = 1
    GRAY_ALPHA = 2
    RGB = 3
    RGB_ALPHA = 4
    RGBA = RGB_ALPHA


_PIL_MODES = {
    ImageReadMode.GRAY: "L",
    ImageReadMode.GRAY_ALPHA: "LA",
    ImageReadMode.RGB: "RGB",
    ImageReadMode.RGB_ALPHA: "RGBA",
}


def read_file(path):
    """The bytes of a file, a uint8 tensor of one dimension.

    Args:
        path: the file.
    """
    with open(path, "rb") as file:
        return rl.from_numpy(np.frombuffer(file.read(), np.uint8).copy())


def write_file(filename, data) -> None:
    """Write the bytes of a uint8 tensor of one dimension.

    Args:
        filename: the file.
        data: its content.
    """
    if data.dtype != rl.uint8:
        raise RuntimeError(f"write_file: Input tensor dtype should be uint8, got {data.dtype}")
    if data.ndim != 1:
        raise RuntimeError(
            f"write_file: Input data should be a 1-dimensional tensor, got {data.ndim} dimensions"
        )
    with open(filename, "wb") as file:
        file.write(data.numpy().tobytes())


def _read(data, formats: tuple[str, ...] | None, name: str, use):
    """What `use` makes of the PIL image in a tensor of bytes.

    Raises:
        RuntimeError: no picture, or a damaged one.
    """
    if data.dtype != rl.uint8 or data.ndim != 1 or data.numel() == 0:
        raise RuntimeError(
            f"{name}: expected a non empty 1-dimensional uint8 tensor with the bytes of a picture, got shape "
            f"{tuple(data.shape)} of {data.dtype}"
        )
    pillow = _pillow()
    try:
        with pillow.open(io.BytesIO(data.numpy().tobytes()), formats=formats) as image:
            image.load()
            return use(image)
    except pillow.UnidentifiedImageError:
        kinds = " or ".join(formats) if formats else "jpeg, png, gif or webp"
        raise RuntimeError(f"{name}: Unsupported image file: the bytes are no {kinds} picture") from None
    except (OSError, SyntaxError, EOFError, ValueError, pillow.DecompressionBombError) as error:
        raise RuntimeError(f"{name}: the picture is damaged: {error}") from error


def _decode(data, mode, apply_exif_orientation: bool, formats, name: str):
    mode = ImageReadMode[mode.upper()] if isinstance(mode, str) else mode

    def use(image):
        if apply_exif_orientation:
            image = _pillow("ImageOps").exif_transpose(image)
        return _tensor(_converted(image, mode))

    return _read(data, formats, name, use)


def _converted(image, mode: ImageReadMode):
    if mode is not ImageReadMode.UNCHANGED:
        return image.convert(_PIL_MODES[mode])
    return image.convert("L") if image.mode == "1" else image


def _tensor(image):
    """(C, H, W) of uint8, of uint16 for grey pictures of 16 bits, or of int32 or float32 for those of 32."""
    array = np.asarray(image)
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        array = array.astype(np.uint16)
    array = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return rl.from_numpy(np.array(array, order="C"))


def decode_image(input, mode=ImageReadMode.UNCHANGED, apply_exif_orientation: bool = False):
    """The picture in a file, or in the bytes of one: JPEG, PNG, GIF, WebP, and what else Pillow reads.

    Args:
        input: path, or uint8 tensor of one dimension with the content of a file.
        mode: what to convert it to, an `ImageReadMode` or its name. UNCHANGED gives 1 channel for grey pictures and
            those with a palette (its indices), 2 for grey with alpha, 3 for RGB, 4 for RGBA and CMYK.
        apply_exif_orientation: turn it as its camera noted.

    Returns:
        A tensor of shape (C, H, W) of uint8; read UNCHANGED, grey pictures of 16 bits are uint16 (Pillow reads coloured
        ones with 8 bits), TIFF files of 32 bits int32 or float32. (N, C, H, W) for a GIF of N > 1 frames; of other
        animations and of TIFF files with several pages the first picture.

    Raises:
        RuntimeError: no picture, or a damaged one; names the file where there is one.

    >>> from rushlight.vision.io import decode_image, encode_png
    >>> decode_image(encode_png(torch.zeros(3, 4, 5, dtype=torch.uint8))).shape
    torch.Size([3, 4, 5])
    """
    name = "decode_image"
    if not isinstance(input, rl.Tensor):
        name, input = f"decode_image: {input}", read_file(input)
    if input.dtype == rl.uint8 and input.ndim == 1 and input[:4].numpy().tobytes() == b"GIF8":
        return _decode_gif(input, name)
    return _decode(input, mode, apply_exif_orientation, None, name)


def read_image(path, mode=ImageReadMode.UNCHANGED, apply_exif_orientation: bool = False):
    """`decode_image` of a file."""
    return decode_image(str(path), mode, apply_exif_orientation)


def decode_png(input, mode=ImageReadMode.UNCHANGED, apply_exif_orientation: bool = False):
    """`decode_image` of the bytes of a PNG file."""
    return _decode(input, mode, apply_exif_orientation, ("PNG",), "decode_png")


def decode_jpeg(input, mode=ImageReadMode.UNCHANGED, device="cpu", apply_exif_orientation: bool = False):
    """`decode_image` of the bytes of a JPEG file, or of a list of them.

    Args:
        input: uint8 tensor of one dimension, or a list of such.
        mode: what to convert to.
        device: "cpu".
        apply_exif_orientation: turn it as its camera noted.
    """
    if rl.device(device).type != "cpu":
        raise NotImplementedError(f"decode_jpeg: pictures are decoded on the CPU, got device {device}")
    if isinstance(input, list):
        if not input:
            raise ValueError("Input list must contain at least one element")
        return [decode_jpeg(item, mode, device, apply_exif_orientation) for item in input]
    return _decode(input, mode, apply_exif_orientation, ("JPEG",), "decode_jpeg")


def decode_webp(input, mode=ImageReadMode.UNCHANGED):
    """`decode_image` of the bytes of a WebP file."""
    return _decode(input, mode, False, ("WEBP",), "decode_webp")


def decode_gif(input):
    """The frames of a GIF in RGB: shape (3, H, W) for one, (N, 3, H, W) for more.

    Args:
        input: uint8 tensor of one dimension with the content of the file.
    """
    return _decode_gif(input, "decode_gif")


def _decode_gif(data, name: str):
    def use(image):
        return [_tensor(frame.convert("RGB")) for frame in _pillow("ImageSequence").Iterator(image)]

    frames = _read(data, ("GIF",), name, use)
    return frames[0] if len(frames) == 1 else rl.stack(frames)


def _encode(input, name: str, format: str, **options):
    if input.dtype != rl.uint8:
        raise RuntimeError(f"{name}: Input tensor dtype should be uint8, got {input.dtype}")
    if input.ndim != 3:
        raise RuntimeError(
            f"{name}: Input data should be a 3-dimensional tensor, got {input.ndim} dimensions"
        )
    if input.shape[0] not in (1, 3):
        raise RuntimeError(f"{name}: The number of channels should be 1 or 3, got: {input.shape[0]}")
    memory = io.BytesIO()
    _to_pil(input.permute(1, 2, 0).numpy()).save(memory, format=format, **options)
    return rl.from_numpy(np.frombuffer(memory.getvalue(), np.uint8).copy())


def encode_png(input, compression_level: int = 6):
    """The bytes of the PNG file of a picture.

    Args:
        input: uint8 tensor of shape (1 or 3, H, W).
        compression_level: 0 to 9.

    Returns:
        A uint8 tensor of one dimension.
    """
    if not 0 <= compression_level <= 9:
        raise RuntimeError(
            f"encode_png: Compression level should be between 0 and 9, got {compression_level}"
        )
    return _encode(input, "encode_png", "PNG", compress_level=compression_level)


def encode_jpeg(input, quality: int = 75):
    """The bytes of the JPEG file of a picture, or of a list of them.

    Args:
        input: uint8 tensor of shape (1 or 3, H, W), or a list of such.
        quality: 1 to 100.

    Returns:
        A uint8 tensor of one dimension, or a list of such.
    """
    if quality < 1 or quality > 100:
        raise ValueError("Image quality should be a positive number between 1 and 100")
    if isinstance(input, list):
        if not input:
            raise ValueError("encode_jpeg requires at least one input tensor when a list is passed")
        return [encode_jpeg(item, quality) for item in input]
    return _encode(input, "encode_jpeg", "JPEG", quality=quality)


def write_png(input, filename, compression_level: int = 6) -> None:
    """Write a picture to a PNG file.

    Args:
        input: uint8 tensor of shape (1 or 3, H, W).
        filename: the file.
        compression_level: 0 to 9.
    """
    write_file(filename, encode_png(input, compression_level))


def write_jpeg(input, filename, quality: int = 75) -> None:
    """Write a picture to a JPEG file.

    Args:
        input: uint8 tensor of shape (1 or 3, H, W).
        filename: the file.
        quality: 1 to 100.
    """
    write_file(filename, encode_jpeg(input, quality))
