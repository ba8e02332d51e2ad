"""Collections: scenes in LMDB databases (LSUN), patches of photographs (PhotoTour), captioned links (SBU)."""

import io
import os
import zipfile

import numpy as np

import rushlight as rl
from rushlight.vision.datasets._listed import rows
from rushlight.vision.datasets._pictures import open_picture
from rushlight.vision.datasets.folder import default_loader
from rushlight.vision.datasets.utils import (
    check_integrity,
    download_and_extract_archive,
    download_url,
    missing,
    verify_str_arg,
)
from rushlight.vision.datasets.vision import VisionDataset

_SCENES = (
    "bedroom", "bridge", "church_outdoor", "classroom", "conference_room", "dining_room", "kitchen", "living_room",
    "restaurant", "tower",
)  # fmt: skip
_SPLITS = ("train", "val", "test")


class LSUNClass(VisionDataset):
    """The pictures of one LMDB database, without targets; needs the package lmdb.

    Args:
        root: the database, a folder.
        transform: applied to each picture, a PIL image in RGB.
        target_transform: applied to each target, which is None.

    Raises:
        ImportError: lmdb is not installed.
    """

    def __init__(self, root, transform=None, target_transform=None):
        try:
            import lmdb
        except ImportError as error:
            raise ImportError(
                "LSUN reads LMDB databases; install the package that does it: pip install lmdb"
            ) from error
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.env = lmdb.open(
            os.fspath(root), max_readers=1, readonly=True, lock=False, readahead=False, meminit=False
        )
        with self.env.begin(write=False) as transaction:
            self.keys = list(transaction.cursor().iternext(keys=True, values=False))
        self.length = len(self.keys)

    def __getitem__(self, index: int):
        with self.env.begin(write=False) as transaction:
            data = transaction.get(self.keys[index])
        return self._transformed(open_picture(io.BytesIO(data), "RGB"), None)

    def __len__(self) -> int:
        return self.length


class LSUN(VisionDataset):
    """Photographs of ten kinds of scenes in LMDB databases; needs the package lmdb.

    Args:
        root: folder with databases such as `bedroom_train_lmdb`.
        classes: "train", "val" or "test" for all kinds, or a list such as `["bedroom_train", "tower_val"]`.
        transform: applied to each picture, a PIL image in RGB.
        target_transform: applied to each target, the number of its database.

    Source: F. Yu et al., "LSUN: Construction of a Large-Scale Image Dataset" (2015).
    """

    def __init__(self, root, classes="train", transform=None, target_transform=None):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.classes = _lsun_classes(classes)
        self.dbs = [LSUNClass(os.path.join(root, f"{name}_lmdb"), transform) for name in self.classes]
        self.indices = np.cumsum([len(db) for db in self.dbs]).tolist()
        self.length = self.indices[-1] if self.indices else 0

    def __getitem__(self, index: int):
        target = int(np.searchsorted(self.indices, index, "right"))
        image, _ = self.dbs[target][index - (self.indices[target - 1] if target else 0)]
        return image, target if self.target_transform is None else self.target_transform(target)

    def __len__(self) -> int:
        return self.length

    def extra_repr(self) -> str:
        return f"Classes: {self.classes}"


def _lsun_classes(classes) -> list[str]:
    """The databases that are meant, checked."""
    if isinstance(classes, str) and classes in _SPLITS:
        return ["test"] if classes == "test" else [f"{scene}_{classes}" for scene in _SCENES]
    try:
        classes = list(classes)
    except TypeError:
        raise ValueError(
            f"Expected type str or Iterable for argument classes, but got type {type(classes)}."
        ) from None
    for name in classes:
        verify_str_arg(
            name, custom_msg=f"Expected type str for elements in argument classes, but got type {type(name)}."
        )
        scene, _, split = name.rpartition("_")
        for value, what, valid in ((scene, "LSUN class", _SCENES), (split, "postfix", _SPLITS)):
            listed = "'" + "', '".join(valid) + "'"
            verify_str_arg(
                value,
                valid_values=valid,
                custom_msg=f"Unknown value '{value}' for {what}. Valid values are {{{listed}}}.",
            )
    return classes


class PhotoTour(VisionDataset):
    """Grey patches of 64x64 pixels around points of buildings, and which pairs show the same point.

    Args:
        root: folder with the folder `name`, in which are sheets of patches (`*.bmp`), `info.txt` and
            `m50_100000_100000_0.txt`; what was read is kept in `root/name.pt`.
        name: "notredame", "yosemite", "liberty", or one of them with "_harris".
        train: items are patches, uint8 tensors of shape (64, 64); else (patch, patch, 1 for the same point or 0).
        transform: applied to each patch.
        download: fetch and unpack the archive if it is absent.

    Attributes: `data`, uint8 of shape (N, 64, 64); `labels`, the point of each patch; `matches`, int64 of shape (M, 3).

    Source: S. Winder and M. Brown, "Learning Local Image Descriptors" (2007).
    """

    _HARRIS, _OTHERS = "http://matthewalunbrown.com/patchdata", "http://icvl.ee.ic.ac.uk/vbalnt"
    urls = {
        name: [f"{server}/{name}.zip", f"{name}.zip", md5]
        for server, name, md5 in (
            (_HARRIS, "notredame_harris", "69f8c90f78e171349abdf0307afefe4d"),
            (_HARRIS, "yosemite_harris", "a73253d1c6fbd3ba2613c45065c00d46"),
            (_HARRIS, "liberty_harris", "c731fcfb3abb4091110d0ae8c7ba182c"),
            (_OTHERS, "notredame", "509eda8535847b8c0a90bbb210c83484"),
            (_OTHERS, "yosemite", "533b2e8eb7ede31be40abc317b2fd4f0"),
            (_OTHERS, "liberty", "fdd9152f138ea5ef2091746689176414"),
        )
    }
    means = {
        f"{name}{kind}": mean
        for kind in ("", "_harris")
        for name, mean in (("notredame", 0.4854), ("yosemite", 0.4844), ("liberty", 0.4437))
    }
    stds = {
        f"{name}{kind}": std
        for kind in ("", "_harris")
        for name, std in (("notredame", 0.1864), ("yosemite", 0.1818), ("liberty", 0.2019))
    }
    lens = {
        "notredame": 468159, "yosemite": 633587, "liberty": 450092,
        "liberty_harris": 379587, "yosemite_harris": 450912, "notredame_harris": 325295,
    }  # fmt: skip
    image_ext, info_file, matches_files = "bmp", "info.txt", "m50_100000_100000_0.txt"

    def __init__(self, root, name, train=True, transform=None, download=False):
        super().__init__(root, transform=transform)
        self.name, self.train = name, train
        self.mean, self.std = self.means[name], self.stds[name]
        self.data_dir = os.path.join(self.root, name)
        self.data_down = os.path.join(self.root, f"{name}.zip")
        self.data_file = os.path.join(self.root, f"{name}.pt")
        if download:
            self.download()
        if not os.path.exists(self.data_file):
            self.cache()
        self.data, self.labels, self.matches = rl.load(self.data_file, weights_only=True)

    def download(self) -> None:
        """Fetch and unpack the archive, unless its content is there."""
        if os.path.exists(self.data_file) or os.path.exists(self.data_dir):
            return
        url, filename, md5 = self.urls[self.name]
        download_url(url, self.root, filename, md5)
        with zipfile.ZipFile(self.data_down) as archive:
            archive.extractall(self.data_dir)
        os.unlink(self.data_down)

    def cache(self) -> None:
        """Read the sheets and lists, and keep them in one file."""
        info, pairs = (os.path.join(self.data_dir, name) for name in (self.info_file, self.matches_files))
        if not (os.path.exists(info) and os.path.exists(pairs)):
            raise missing((info, pairs), "Dataset not found")
        labels = [int(line[0]) for line in rows(info)]
        matches = [(int(line[0]), int(line[3]), int(line[1] == line[4])) for line in rows(pairs)]
        kept = (rl.from_numpy(self._patches()), rl.tensor(labels), rl.tensor(matches))
        rl.save(kept, self.data_file)

    def _patches(self) -> np.ndarray:
        sheets = sorted(name for name in os.listdir(self.data_dir) if name.endswith(self.image_ext))
        cut = []
        for name in sheets:
            sheet = np.asarray(open_picture(os.path.join(self.data_dir, name)))
            down, across = sheet.shape[0] // 64, sheet.shape[1] // 64
            cut.append(sheet.reshape(down, 64, across, 64).swapaxes(1, 2).reshape(-1, 64, 64))
        return np.concatenate(cut)[: self.lens[self.name]] if cut else np.zeros((0, 64, 64), np.uint8)

    def __getitem__(self, index: int):
        kept = (lambda patch: patch) if self.transform is None else self.transform
        if self.train:
            return kept(self.data[index])
        first, second, same = self.matches[index]
        return kept(self.data[first]), kept(self.data[second]), same

    def __len__(self) -> int:
        return len(self.data if self.train else self.matches)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"


class SBU(VisionDataset):
    """Photographs of Flickr with a caption each; those that are still there.

    Args:
        root: folder with `SBUCaptionedPhotoDataset.tar.gz` and what it unpacks to, the folder `dataset`, in which
            the photographs are.
        transform: applied to each picture, a PIL image in RGB.
        target_transform: applied to each target, the caption.
        download: fetch the archive if it is absent, and then every photograph, one by one.
        loader: opens a file.

    Source: V. Ordonez, G. Kulkarni and T. Berg, "Im2Text" (2011).
    """

    url = "https://www.cs.rice.edu/~vo9/sbucaptions/SBUCaptionedPhotoDataset.tar.gz"
    filename = "SBUCaptionedPhotoDataset.tar.gz"
    md5_checksum = "9aec147b3488753cf758b4d493422285"

    def __init__(self, root, transform=None, target_transform=None, download=True, loader=default_loader):
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader = loader
        archive = os.path.join(self.root, self.filename)
        if download:
            self.download()
        if not check_integrity(archive, self.md5_checksum):
            raise missing([(archive, self.md5_checksum)])
        self.photos, self.captions = [], []
        for url, caption in zip(self._lines("urls"), self._lines("captions"), strict=False):
            photo = os.path.basename(url)
            if os.path.exists(os.path.join(self.root, "dataset", photo)):
                self.photos.append(photo)
                self.captions.append(caption)

    def _lines(self, what: str) -> list[str]:
        path = os.path.join(self.root, "dataset", f"SBU_captioned_photo_dataset_{what}.txt")
        with open(path, encoding="utf-8") as file:
            return [line.rstrip() for line in file]

    def download(self) -> None:
        """Fetch and unpack the archive, then every photograph; one that cannot be had is left out."""
        if check_integrity(os.path.join(self.root, self.filename), self.md5_checksum):
            return
        download_and_extract_archive(self.url, self.root, self.root, self.filename, self.md5_checksum)
        for url in self._lines("urls"):
            try:
                download_url(url, os.path.join(self.root, "dataset"))
            except (OSError, RuntimeError):
                continue  # its owner took it away

    def __getitem__(self, index: int):
        image = self.loader(os.path.join(self.root, "dataset", self.photos[index]))
        return self._transformed(image, self.captions[index])

    def __len__(self) -> int:
        return len(self.photos)
