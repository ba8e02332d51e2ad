"""Reading one picture file; errors name it."""

import os
import stat

from rushlight.vision.utils import _pillow


def open_picture(path, mode: str | None = None):
    """The PIL image in a file, read completely.

    Args:
        path: the file.
        mode: what Pillow converts it to, such as "RGB" (grey is repeated, alpha dropped, CMYK converted, 16 bits as
            Pillow does it); None leaves it as it is. Of an animation it is the first picture.

    Raises:
        FileNotFoundError: it is not there.
        OSError: it is no picture, damaged, or too large (Pillow's `Image.MAX_IMAGE_PIXELS`); the message names the file.
    """
    image = _pillow()
    if isinstance(path, str | os.PathLike) and not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(f"{path}: no regular file")  # a pipe would be waited for without end
    try:
        with image.open(path) as picture:
            picture.load()
            if mode is None:
                return picture
            if picture.mode != mode or picture.readonly:  # which lies in the file
                return picture.convert(mode)
            return picture._new(picture.im)  # what `convert` gives, without its copy: 0.2 of 0.5 ms of a JPEG
    except (FileNotFoundError, IsADirectoryError, PermissionError, image.UnidentifiedImageError):
        raise  # they name it
    except (OSError, SyntaxError, EOFError, ValueError, image.DecompressionBombError) as error:
        raise OSError(f"{path}: this picture is damaged and cannot be read: {error}") from error
