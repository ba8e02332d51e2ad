"""Photographs with one label each: textures, food, cars, aircraft, signs, satellites, scenes, objects."""

import csv
import json
import os
import pathlib
import shutil

from rushlight.vision.datasets._listed import ListedPictures, class_of, number, rows
from rushlight.vision.datasets._mat import read_mat
from rushlight.vision.datasets._pictures import open_picture
from rushlight.vision.datasets.folder import ImageFolder, default_loader, find_classes, make_dataset
from rushlight.vision.datasets.utils import (
    check_integrity,
    check_labels,
    download_and_extract_archive,
    extract_archive,
    missing,
    verify_str_arg,
)


class DTD(ListedPictures):
    """Describable textures: 5,640 photographs of 47 kinds.

    Args:
        root: folder with `dtd/dtd/images` and `dtd/dtd/labels`.
        split: "train", "val" or "test".
        partition: which of the 10 ways to split.
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each label, an int.
        download: fetch and unpack the archive if it is absent.
        loader: called with a path, gives the picture.

    Source: M. Cimpoi and others, "Describing Textures in the Wild" (2014).
    """

    _NAME = "dtd"
    _URL = "https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz"
    _MD5 = "fff73e5086ae6bdbea199a49dfb8a4c1"

    def __init__(
        self,
        root,
        split="train",
        partition=1,
        transform=None,
        target_transform=None,
        download=False,
        loader=default_loader,
    ):
        self._split = verify_str_arg(split, "split", ("train", "val", "test"))
        if not isinstance(partition, int) or not 1 <= partition <= 10:
            raise ValueError(
                "Parameter 'partition' should be an integer with `1 <= partition <= 10`, but got "
                f"{partition} instead"
            )
        self._partition = partition
        super().__init__(root, transform, target_transform, loader)
        folder = self._base_folder / "dtd"
        self._find(download)
        names = [parts for (parts,) in rows(folder / "labels" / f"{split}{partition}.txt", 1)]
        kinds = [name.partition("/")[0] for name in names]
        self._name_classes(sorted(set(kinds)))
        self._image_files = [folder.joinpath("images", *name.split("/")) for name in names]
        self._labels = [self.class_to_idx[kind] for kind in kinds]

    def _needed(self):
        return [self._base_folder / "dtd"]

    def _download(self):
        download_and_extract_archive(self._URL, str(self._base_folder), md5=self._MD5)

    def extra_repr(self) -> str:
        return f"split={self._split}, partition={self._partition}"


class Food101(ListedPictures):
    """101,000 photographs of 101 dishes.

    Args:
        root: folder with `food-101/images` and `food-101/meta`.
        split: "train" or "test".
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each label, an int.
        download: fetch and unpack the archive if it is absent.
        loader: called with a path, gives the picture.

    Source: L. Bossard, M. Guillaumin and L. Van Gool, "Food-101" (2014).
    """

    _NAME = "food-101"
    _URL = "http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz"
    _MD5 = "85eeb15f3717b99a5da872d97d918f87"

    def __init__(
        self,
        root,
        split="train",
        transform=None,
        target_transform=None,
        download=False,
        loader=default_loader,
    ):
        super().__init__(root, transform, target_transform, loader)
        self._split = verify_str_arg(split, "split", ("train", "test"))
        self._find(download)
        path = self._base_folder / "meta" / f"{split}.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            pairs = [(kind, str(name)) for kind, names in content.items() for name in names]
        except (ValueError, AttributeError, TypeError) as error:
            raise ValueError(f"{path}: damaged, no lists of pictures by class: {error}") from error
        self._name_classes(sorted(content))
        self._labels = [self.class_to_idx[kind] for kind, _ in pairs]
        self._image_files = [
            self._base_folder.joinpath("images", *f"{name}.jpg".split("/")) for _, name in pairs
        ]

    def _needed(self):
        return [self._base_folder / "meta", self._base_folder / "images"]

    def extra_repr(self) -> str:
        return f"split={self._split}"


class FGVCAircraft(ListedPictures):
    """10,200 photographs of aircraft: 100 variants, 70 families, 41 manufacturers.

    Args:
        root: folder with `fgvc-aircraft-2013b/data`.
        split: "train", "val", "trainval" or "test".
        annotation_level: "variant", "family" or "manufacturer".
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each label, an int.
        download: fetch and unpack the archive if it is absent.
        loader: called with a path, gives the picture.

    Source: S. Maji and others, "Fine-Grained Visual Classification of Aircraft" (2013).
    """

    _NAME = "fgvc-aircraft-2013b"
    _URL = "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz"
    _LISTS = {"variant": "variants.txt", "family": "families.txt", "manufacturer": "manufacturers.txt"}

    def __init__(
        self,
        root,
        split="trainval",
        annotation_level="variant",
        transform=None,
        target_transform=None,
        download=False,
        loader=default_loader,
    ):
        super().__init__(root, transform, target_transform, loader)
        self._split = verify_str_arg(split, "split", ("train", "val", "trainval", "test"))
        self._annotation_level = verify_str_arg(annotation_level, "annotation_level", tuple(self._LISTS))
        self._find(download)
        folder = self._base_folder / "data"
        self._name_classes(name for (name,) in rows(folder / self._LISTS[annotation_level], 1))
        path = folder / f"images_{annotation_level}_{split}.txt"
        pairs = rows(path, 2, " ")
        self._image_files = [str(folder / "images" / f"{name}.jpg") for name, _ in pairs]
        self._labels = [class_of(kind, self.class_to_idx, path) for _, kind in pairs]


class StanfordCars(ListedPictures):
    """16,185 photographs of 196 models of cars. The files have no address any more: put them there yourself.

    Args:
        root: folder with `stanford_cars/devkit`, `stanford_cars/cars_train`, `stanford_cars/cars_test` and
            `stanford_cars/cars_test_annos_withlabels.mat`.
        split: "train" or "test".
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each label, an int.
        download: not possible.
        loader: called with a path, gives the picture.

    Source: J. Krause and others, "3D Object Representations for Fine-Grained Categorization" (2013).
    """

    _NAME = "stanford_cars"

    def __init__(
        self,
        root,
        split="train",
        transform=None,
        target_transform=None,
        download=False,
        loader=default_loader,
    ):
        super().__init__(root, transform, target_transform, loader)
        self._split = verify_str_arg(split, "split", ("train", "test"))
        train = split == "train"
        annotations = "devkit/cars_train_annos.mat" if train else "cars_test_annos_withlabels.mat"
        self._annotations = self._base_folder / annotations
        self._pictures = self._base_folder / f"cars_{split}"
        self._find(download)
        names = read_mat(self._base_folder / "devkit" / "cars_meta.mat").get("class_names", [])
        self._name_classes(names)
        entries = read_mat(self._annotations).get("annotations")
        try:
            self._labels = [int(entry["class"].item()) - 1 for entry in entries]
            self._image_files = [str(self._pictures / entry["fname"]) for entry in entries]
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise RuntimeError(
                f"{self._annotations}: damaged, no list of pictures and classes: {error!r}"
            ) from error
        check_labels(self._labels, len(self.classes), self._annotations)

    def _needed(self):
        return [self._base_folder / "devkit" / "cars_meta.mat", self._annotations, self._pictures]

    def _download(self):
        raise ValueError(
            "The original URL is broken so the StanfordCars dataset cannot be downloaded anymore."
        )


class GTSRB(ListedPictures):
    """German traffic signs: 51,839 photographs of 43 kinds.

    Args:
        root: folder with `gtsrb/GTSRB/Training` or with `gtsrb/GTSRB/Final_Test/Images` and `gtsrb/GT-final_test.csv`.
        split: "train" or "test".
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each label, an int.
        download: fetch and unpack the archives if they are absent.

    Source: J. Stallkamp and others, "Man vs. Computer" (2012).
    """

    _NAME = "gtsrb"
    _URL = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/"
    _FILES = {
        "train": (("GTSRB-Training_fixed.zip", "513f3c79a4c5141765e10e952eaa2478"),),
        "test": (
            ("GTSRB_Final_Test_Images.zip", "c7e4e6327067d32654124b0fe9e82185"),
            ("GTSRB_Final_Test_GT.zip", "fe31e9c9270bbcd7b84b7f21a9d9d9e5"),
        ),
    }

    def __init__(self, root, split="train", transform=None, target_transform=None, download=False):
        super().__init__(root, transform, target_transform)
        self._split = verify_str_arg(split, "split", ("train", "test"))
        part = "Training" if split == "train" else "Final_Test/Images"
        self._pictures = self._base_folder / "GTSRB" / part
        self._find(download)
        samples = make_dataset(self._pictures, extensions=(".ppm",)) if split == "train" else self._listed()
        self._image_files = [path for path, _ in samples]
        self._labels = [label for _, label in samples]

    def _listed(self) -> list:
        path = self._base_folder / "GT-final_test.csv"
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, delimiter=";", skipinitialspace=True)
            if not {"Filename", "ClassId"} <= set(reader.fieldnames or ()):
                raise ValueError(f"{path}: columns Filename and ClassId expected, got {reader.fieldnames}")
            return [(str(self._pictures / row["Filename"]), number(row["ClassId"], path)) for row in reader]

    def _needed(self):
        lists = [] if self._split == "train" else [self._base_folder / "GT-final_test.csv"]
        return [self._pictures, *lists]

    def _download(self):
        for name, md5 in self._FILES[self._split]:
            download_and_extract_archive(self._URL + name, str(self._base_folder), md5=md5)


class SUN397(ListedPictures):
    """108,754 photographs of 397 kinds of scenes.

    Args:
        root: folder with `SUN397`.
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each label, an int.
        download: fetch and unpack the archive if it is absent.
        loader: called with a path, gives the picture.

    Source: J. Xiao and others, "SUN Database" (2010).
    """

    _NAME = "SUN397"
    _URL = "http://vision.princeton.edu/projects/2010/SUN/SUN397.tar.gz"
    _MD5 = "8ca2778205c41d23104230ba66911c7a"

    def __init__(self, root, transform=None, target_transform=None, download=False, loader=default_loader):
        super().__init__(root, transform, target_transform, loader)
        self._find(download)
        path = self._base_folder / "ClassName.txt"
        self._name_classes(name[3:].strip() for (name,) in rows(path, 1))
        self._image_files = list(self._base_folder.rglob("sun_*.jpg"))
        kinds = ["/".join(file.relative_to(self._base_folder).parts[1:-1]) for file in self._image_files]
        self._labels = [class_of(kind, self.class_to_idx, path) for kind in kinds]


class RenderedSST2(ListedPictures):
    """Pictures of sentences from film reviews: negative or positive.

    Args:
        root: folder with `rendered-sst2`.
        split: "train", "val" or "test".
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each label, an int.
        download: fetch and unpack the archive if it is absent.
        loader: called with a path, gives the picture.

    Source: A. Radford and others, "Learning Transferable Visual Models From Natural Language Supervision" (2021).
    """

    _NAME = "rendered-sst2"
    _URL = "https://openaipublic.azureedge.net/clip/data/rendered-sst2.tgz"
    _MD5 = "2384d08e9dcfa4bd55b324e610496ee5"

    def __init__(
        self,
        root,
        split="train",
        transform=None,
        target_transform=None,
        download=False,
        loader=default_loader,
    ):
        super().__init__(root, transform, target_transform, loader)
        self._split = verify_str_arg(split, "split", ("train", "val", "test"))
        self._part = self._base_folder / ("valid" if split == "val" else split)
        self._name_classes(["negative", "positive"])
        self._find(download)
        samples = make_dataset(self._part, extensions=("png",))
        self._image_files = [path for path, _ in samples]
        self._labels = [label for _, label in samples]

    def _needed(self):
        return [self._part / name for name in self.classes]

    def extra_repr(self) -> str:
        return f"split={self._split}"


class Imagenette(ListedPictures):
    """Photographs of 10 easily told classes of ImageNet.

    Args:
        root: folder with `imagenette2`, `imagenette2-320` or `imagenette2-160`.
        split: "train" or "val".
        size: "full", "320px" or "160px".
        download: fetch and unpack the archive if it is absent.
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each label, an int.
        loader: called with a path, gives the picture.

    Source: J. Howard, "Imagenette" (2019).
    """

    _ARCHIVES = {
        "full": ("imagenette2", "fe2fc210e6bb7c5664d602c3cd71e612"),
        "320px": ("imagenette2-320", "3df6f0d01a2c9592104656642f5e78a3"),
        "160px": ("imagenette2-160", "e793b78cc4c9e9a4ccc0c1155377a412"),
    }
    _WNID_TO_CLASS = {
        "n01440764": ("tench", "Tinca tinca"),
        "n02102040": ("English springer", "English springer spaniel"),
        "n02979186": ("cassette player",),
        "n03000684": ("chain saw", "chainsaw"),
        "n03028079": ("church", "church building"),
        "n03394916": ("French horn", "horn"),
        "n03417042": ("garbage truck", "dustcart"),
        "n03425413": ("gas pump", "gasoline pump", "petrol pump", "island dispenser"),
        "n03445777": ("golf ball",),
        "n03888257": ("parachute", "chute"),
    }

    def __init__(
        self,
        root,
        split="train",
        size="full",
        download=False,
        transform=None,
        target_transform=None,
        loader=default_loader,
    ):
        self._split = verify_str_arg(split, "split", ["train", "val"])
        self._size = verify_str_arg(size, "size", ["full", "320px", "160px"])
        self._NAME, self._MD5 = self._ARCHIVES[size]
        self._URL = f"https://s3.amazonaws.com/fast-ai-imageclas/{self._NAME}.tgz"
        super().__init__(root, transform, target_transform, loader)
        self._find(download)
        folder = str(self._base_folder / split)
        self.wnids, self.wnid_to_idx = find_classes(folder)
        unknown = [wnid for wnid in self.wnids if wnid not in self._WNID_TO_CLASS]
        if unknown:
            raise RuntimeError(f"{folder}: {unknown[0]!r} is none of the classes of Imagenette")
        self.classes = [self._WNID_TO_CLASS[wnid] for wnid in self.wnids]
        self.class_to_idx = {name: i for i, names in enumerate(self.classes) for name in names}
        samples = make_dataset(folder, self.wnid_to_idx, extensions=".jpeg")
        self._image_files = [path for path, _ in samples]
        self._labels = [label for _, label in samples]


class _InFolder(ImageFolder):
    """An `ImageFolder` below `root`, fetched if that is wanted."""

    def _open(self, root, folder, found: bool, download, archive, **settings) -> None:
        root = os.path.expanduser(root)
        if download and not found:
            url, target, md5 = archive
            download_and_extract_archive(url, os.path.join(root, target), md5=md5)
        if not os.path.isdir(os.path.join(root, folder)):
            raise missing([os.path.join(root, folder)], "Dataset not found")
        super().__init__(os.path.join(root, folder), **settings)
        self.root = root


class Country211(_InFolder):
    """Photographs from 211 countries.

    Args:
        root: folder with `country211`.
        split: "train", "valid" or "test".
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each label, an int.
        download: fetch and unpack the archive if it is absent.
        loader: called with a path, gives the picture.

    Source: A. Radford and others, "Learning Transferable Visual Models From Natural Language Supervision" (2021).
    """

    def __init__(
        self,
        root,
        split="train",
        transform=None,
        target_transform=None,
        download=False,
        loader=default_loader,
    ):
        self._split = verify_str_arg(split, "split", ("train", "valid", "test"))
        found = os.path.isdir(os.path.join(os.path.expanduser(root), "country211"))
        self._open(
            root,
            os.path.join("country211", split),
            found,
            download,
            (
                "https://openaipublic.azureedge.net/clip/data/country211.tgz",
                "",
                "84988d7644798601126c29e9877aab6a",
            ),
            transform=transform,
            target_transform=target_transform,
            loader=loader,
        )


class EuroSAT(_InFolder):
    """27,000 pictures from satellites, of 10 kinds of land.

    Args:
        root: folder with `eurosat/2750`.
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each label, an int.
        download: fetch and unpack the archive if it is absent.
        loader: called with a path, gives the picture.

    Source: P. Helber and others, "EuroSAT" (2019).
    """

    def __init__(self, root, transform=None, target_transform=None, download=False, loader=default_loader):
        folder = os.path.join("eurosat", "2750")
        self._open(
            root,
            folder,
            os.path.isdir(os.path.join(os.path.expanduser(root), folder)),
            download,
            (
                "https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
                "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
                "eurosat",
                "c8fa014336c82ac7804f0398fcb19387",
            ),
            transform=transform,
            target_transform=target_transform,
            loader=loader,
        )


class _Caltech(ListedPictures):
    """Folders of numbered pictures, one folder per class."""

    _FOLDER = ""

    def __init__(self, root, transform, target_transform, download):
        super().__init__(root, transform, target_transform)
        self.root = os.path.join(os.path.expanduser(root), self._NAME)
        self._folder = pathlib.Path(self.root) / self._FOLDER
        self._find(download)
        self.categories = sorted(os.listdir(self._folder))

    def _needed(self):
        return [self._folder]

    def _number(self) -> None:
        """Count the pictures of each class: they are numbered from 1."""
        self.index, self.y = [], []
        for i, name in enumerate(self.categories):
            count = sum(file.endswith(".jpg") for file in os.listdir(self._folder / name))
            self.index += range(1, count + 1)
            self.y += [i] * count

    def __len__(self) -> int:
        return len(self.index)


class Caltech101(_Caltech):
    """9,144 photographs of 101 kinds of things.

    Args:
        root: folder with `caltech101/101_ObjectCategories` and `caltech101/Annotations`.
        target_type: "category", "annotation" (the outline, an array of shape (2, points)), or a list of both.
        transform: applied to each picture, a PIL image as it is in the file.
        target_transform: applied to each target.
        download: fetch and unpack the archive if it is absent.

    Source: L. Fei-Fei, R. Fergus and P. Perona, "Learning Generative Visual Models from Few Training Examples" (2004).
    """

    _NAME, _FOLDER = "caltech101", "101_ObjectCategories"
    _OTHER_NAMES = {
        "Faces": "Faces_2",
        "Faces_easy": "Faces_3",
        "Motorbikes": "Motorbikes_16",
        "airplanes": "Airplanes_Side_2",
    }

    def __init__(self, root, target_type="category", transform=None, target_transform=None, download=False):
        kinds = [target_type] if isinstance(target_type, str) else target_type
        self.target_type = [verify_str_arg(kind, "target_type", ("category", "annotation")) for kind in kinds]
        super().__init__(root, transform, target_transform, download)
        self.categories = [name for name in self.categories if name != "BACKGROUND_Google"]
        self.annotation_categories = [self._OTHER_NAMES.get(name, name) for name in self.categories]
        self._number()

    def __getitem__(self, index: int):
        kind, place = self.y[index], self.index[index]
        image = open_picture(self._folder / self.categories[kind] / f"image_{place:04d}.jpg")
        targets = tuple(
            kind if wanted == "category" else self._outline(kind, place) for wanted in self.target_type
        )
        return self._transformed(image, targets if len(targets) > 1 else targets[0])

    def _outline(self, kind: int, place: int):
        folder = os.path.join(self.root, "Annotations", self.annotation_categories[kind])
        path = os.path.join(folder, f"annotation_{place:04d}.mat")
        content = read_mat(path)
        if "obj_contour" not in content:
            raise RuntimeError(f"{path}: damaged, there is no obj_contour in it")
        return content["obj_contour"]

    def _download(self):
        url = "https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip"
        download_and_extract_archive(url, self.root, md5="3138e1922a9193bfa496528edbbc45d0")
        folder = os.path.join(self.root, "caltech-101")
        for name in os.listdir(folder):
            if name.endswith((".gz", ".tar")):
                extract_archive(os.path.join(folder, name), self.root)
        shutil.rmtree(folder)
        os.remove(os.path.join(self.root, "caltech-101.zip"))

    def extra_repr(self) -> str:
        return f"Target type: {self.target_type}"


class Caltech256(_Caltech):
    """30,607 photographs of 256 kinds of things, and of others.

    Args:
        root: folder with `caltech256/256_ObjectCategories`.
        transform: applied to each picture, a PIL image as it is in the file.
        target_transform: applied to each label, an int.
        download: fetch and unpack the archive if it is absent.

    Source: G. Griffin, A. Holub and P. Perona, "Caltech-256 Object Category Dataset" (2007).
    """

    _NAME, _FOLDER = "caltech256", "256_ObjectCategories"

    def __init__(self, root, transform=None, target_transform=None, download=False):
        super().__init__(root, transform, target_transform, download)
        self._number()

    def __getitem__(self, index: int):
        kind = self.y[index]
        name = f"{kind + 1:03d}_{self.index[index]:04d}.jpg"
        return self._transformed(open_picture(self._folder / self.categories[kind] / name), kind)

    def _download(self):
        url = "https://data.caltech.edu/records/nyy15-4j048/files/256_ObjectCategories.tar"
        download_and_extract_archive(url, self.root, md5="67b4f42ca05d46448c6bb8ecd2220f6d")


class Places365(ListedPictures):
    """Up to 8 million photographs of 365 kinds of places.

    Args:
        root: folder with the lists (`places365_val.txt` and so on), `categories_places365.txt` and the pictures
            (`val_256`, `data_large_standard` and so on).
        split: "train-standard", "train-challenge", "val" or "test".
        small: pictures of 256x256 instead of large ones.
        download: fetch and unpack the archives if they are absent.
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each label, an int, or None in the test split.
        loader: called with a path, gives the picture.

    Source: B. Zhou and others, "Places: A 10 Million Image Database for Scene Recognition" (2017).
    """

    _BASE_URL = "http://data.csail.mit.edu/places/places365/"
    _DEVKIT_META = {
        "standard": ("filelist_places365-standard.tar", "35a0585fee1fa656440f3ab298f8479c"),
        "challenge": ("filelist_places365-challenge.tar", "70a8307e459c3de41690a7c76c931734"),
    }
    _CATEGORIES_META = ("categories_places365.txt", "06c963b85866bd0649f97cb43dd16673")
    _FILE_LIST_META = {
        "train-standard": ("places365_train_standard.txt", "30f37515461640559006b8329efbed1a"),
        "train-challenge": ("places365_train_challenge.txt", "b2931dc997b8c33c27e7329c073a6b57"),
        "val": ("places365_val.txt", "e9f2fd57bfd9d07630173f4e8708e4b1"),
        "test": ("places365_test.txt", "2fce8233fe493576d724142e45d93653"),
    }
    _IMAGES_META = {
        ("train-standard", False): ("train_large_places365standard.tar", "67e186b496a84c929568076ed01a8aa1"),
        ("train-challenge", False): (
            "train_large_places365challenge.tar",
            "605f18e68e510c82b958664ea134545f",
        ),
        ("val", False): ("val_large.tar", "9b71c4993ad89d2d8bcbdc4aef38042f"),
        ("test", False): ("test_large.tar", "41a4b6b724b1d2cd862fb3871ed59913"),
        ("train-standard", True): ("train_256_places365standard.tar", "53ca1c756c3d1e7809517cc47c5561c5"),
        ("train-challenge", True): ("train_256_places365challenge.tar", "741915038a5e3471ec7332404dfb64ef"),
        ("val", True): ("val_256.tar", "e27b17d8d44f4af9a78502beb927f808"),
        ("test", True): ("test_256.tar", "f532f6ad7b582262a2ec8009075e186b"),
    }

    def __init__(
        self,
        root,
        split="train-standard",
        small=False,
        download=False,
        transform=None,
        target_transform=None,
        loader=default_loader,
    ):
        super().__init__(root, transform, target_transform, loader)
        self.split = verify_str_arg(split, "split", tuple(self._FILE_LIST_META))
        self.small = small
        path = self._list(self._CATEGORIES_META, download)
        self.class_to_idx = {name: number(label, path) for name, label in rows(path, 2)}
        self.classes = sorted(self.class_to_idx)
        path = self._list(self._FILE_LIST_META[split], download)
        entries = [(name, number(label[0], path) if label else None) for name, *label in rows(path)]
        check_labels([label for _, label in entries if label is not None], len(self.classes), path)
        self.imgs = [
            (os.path.join(self.images_dir, *name.strip("/").split("/")), label) for name, label in entries
        ]
        self.targets = [label for _, label in self.imgs]
        if download and not os.path.isdir(self.images_dir):
            self._download()

    @property
    def variant(self) -> str:
        """ "standard" or "challenge"."""
        return "challenge" if "challenge" in self.split else "standard"

    @property
    def images_dir(self) -> str:
        """The folder of the pictures."""
        size = "256" if self.small else "large"
        train = self.split.startswith("train")
        return os.path.join(self.root, f"data_{size}_{self.variant}" if train else f"{self.split}_{size}")

    def _list(self, meta, download: bool) -> str:
        name, md5 = meta
        path = os.path.join(self.root, name)
        if not check_integrity(path, md5):
            if not download:
                raise missing([(path, md5)], f"The file {path} does not exist or is corrupted")
            archive, archive_md5 = self._DEVKIT_META[self.variant]
            download_and_extract_archive(self._BASE_URL + archive, self.root, md5=archive_md5)
        return path

    def _download(self) -> None:
        name, md5 = self._IMAGES_META[self.split, self.small]
        download_and_extract_archive(self._BASE_URL + name, self.root, md5=md5)
        if self.split.startswith("train"):
            os.rename(self.images_dir.rsplit("_", 1)[0], self.images_dir)

    def __getitem__(self, idx: int):
        path, target = self.imgs[idx]
        return self._transformed(self.loader(path), target)

    def __len__(self) -> int:
        return len(self.imgs)

    def extra_repr(self) -> str:
        return f"Split: {self.split}\nSmall: {self.small}"
