"""Folders with one subfolder per class."""

import os

from rushlight.vision.datasets._pictures import open_picture
from rushlight.vision.datasets.vision import VisionDataset

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def has_file_allowed_extension(filename, extensions) -> bool:
    """Whether a name ends in one of `extensions`, in small letters or capitals.

    Args:
        filename: the name.
        extensions: one ending in small letters, or a tuple of them.
    """
    return filename.lower().endswith(extensions if isinstance(extensions, str) else tuple(extensions))


def is_image_file(filename: str) -> bool:
    """Whether a name ends like that of a picture.

    >>> from rushlight.vision.datasets.folder import is_image_file
    >>> is_image_file("CAT.JPG"), is_image_file("notes.txt")
    (True, False)
    """
    return has_file_allowed_extension(filename, IMG_EXTENSIONS)


def find_classes(directory) -> tuple[list[str], dict[str, int]]:
    """The subfolders of a folder in alphabetical order, and the number of each.

    Raises:
        FileNotFoundError: there are none.
    """
    with os.scandir(directory) as entries:
        classes = sorted(entry.name for entry in entries if entry.is_dir())
    if not classes:
        raise FileNotFoundError(f"Couldn't find any class folder in {directory}.")
    return classes, {name: i for i, name in enumerate(classes)}


def make_dataset(
    directory, class_to_idx=None, extensions=None, is_valid_file=None, allow_empty: bool = False
) -> list[tuple[str, int]]:
    """(path, class number) of all files below the folders of classes.

    Args:
        directory: the folder.
        class_to_idx: the number of each class; by `find_classes` if None.
        extensions: endings of the files that count.
        is_valid_file: tells of a path whether it counts; instead of `extensions`.
        allow_empty: classes without files are no error.

    Raises:
        ValueError: not exactly one of `extensions` and `is_valid_file` is given, or `class_to_idx` is empty.
        FileNotFoundError: a class has no files.
    """
    directory = os.path.expanduser(directory)
    if class_to_idx is None:
        _, class_to_idx = find_classes(directory)
    elif not class_to_idx:
        raise ValueError("'class_to_index' must have at least one entry to collect any samples.")
    if (extensions is None) == (is_valid_file is None):
        raise ValueError("Both extensions and is_valid_file cannot be None or not None at the same time")
    if extensions is not None:
        is_valid_file = lambda path: has_file_allowed_extension(path, extensions)
    samples, empty = [], []
    for name in sorted(class_to_idx):
        folders = sorted(os.walk(os.path.join(directory, name), followlinks=True))
        paths = [os.path.join(folder, file) for folder, _, files in folders for file in sorted(files)]
        valid = [(path, class_to_idx[name]) for path in paths if is_valid_file(path)]
        samples += valid
        if not valid:
            empty.append(name)
    if empty and not allow_empty:
        message = f"Found no valid file for the classes {', '.join(empty)}. "
        if extensions is not None:
            known = extensions if isinstance(extensions, str) else ", ".join(extensions)
            message += f"Supported extensions are: {known}"
        raise FileNotFoundError(message)
    return samples


def pil_loader(path):
    """The picture in a file, a PIL image of mode RGB.

    Grey is repeated three times, alpha is dropped, CMYK converted, and 16 bits reduced as Pillow's `convert` does it.

    Raises:
        OSError: no picture, or a damaged one; the message names the file.
    """
    return open_picture(path, "RGB")


default_loader = pil_loader


class DatasetFolder(VisionDataset):
    """Files in one subfolder per class: `root/cat/1.ext`, `root/dog/more/2.ext`.

    Args:
        root: the folder.
        loader: called with a path, gives the sample.
        extensions: endings of the files that count.
        transform: applied to each sample.
        target_transform: applied to each class number.
        is_valid_file: tells of a path whether it counts; instead of `extensions`.
        allow_empty: subfolders without files are no error.

    Attributes: `classes`, `class_to_idx`, `samples`, a list of (path, class number), and `targets`. `find_classes` and
    `make_dataset` may be overridden.
    """

    def __init__(
        self,
        root,
        loader,
        extensions=None,
        transform=None,
        target_transform=None,
        is_valid_file=None,
        allow_empty: bool = False,
    ):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.classes, self.class_to_idx = self.find_classes(self.root)
        self.samples = self.make_dataset(
            self.root,
            class_to_idx=self.class_to_idx,
            extensions=extensions,
            is_valid_file=is_valid_file,
            allow_empty=allow_empty,
        )
        self.loader, self.extensions = loader, extensions
        self.targets = [target for _, target in self.samples]

    @staticmethod
    def make_dataset(
        directory, class_to_idx, extensions=None, is_valid_file=None, allow_empty: bool = False
    ) -> list[tuple[str, int]]:
        """The samples; see the function `make_dataset`."""
        if class_to_idx is None:  # the function would then find classes without the method
            raise ValueError("The class_to_idx parameter cannot be None.")
        return make_dataset(directory, class_to_idx, extensions, is_valid_file, allow_empty)

    def find_classes(self, directory) -> tuple[list[str], dict[str, int]]:
        """The classes and the number of each; see the function `find_classes`."""
        return find_classes(directory)

    def __getitem__(self, index: int):
        path, target = self.samples[index]
        return self._transformed(self.loader(path), target)

    def __len__(self) -> int:
        return len(self.samples)


class ImageFolder(DatasetFolder):
    """Pictures in one subfolder per class: `root/cat/1.png`, `root/dog/more/2.jpg`.

    Args:
        root: the folder.
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each class number.
        loader: called with a path, gives the picture; see `pil_loader` for what the default does.
        is_valid_file: tells of a path whether it counts; by its ending if None.
        allow_empty: subfolders without pictures are no error.

    Attributes: those of `DatasetFolder`, and `imgs`, another name of `samples`.
    """

    def __init__(
        self,
        root,
        transform=None,
        target_transform=None,
        loader=default_loader,
        is_valid_file=None,
        allow_empty: bool = False,
    ):
        super().__init__(
            root,
            loader,
            IMG_EXTENSIONS if is_valid_file is None else None,
            transform=transform,
            target_transform=target_transform,
            is_valid_file=is_valid_file,
            allow_empty=allow_empty,
        )
        self.imgs = self.samples
