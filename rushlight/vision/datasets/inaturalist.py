"""iNaturalist: pictures of plants and animals by species."""

import os

from rushlight.vision.datasets._pictures import open_picture
from rushlight.vision.datasets.utils import download_and_extract_archive, missing, verify_str_arg
from rushlight.vision.datasets.vision import VisionDataset

RANKS = ("kingdom", "phylum", "class", "order", "family", "genus")
_SOURCE = "https://ml-inat-competition-datasets.s3.amazonaws.com/"
_FILES = {  # the archive and its MD5 checksum
    "2017": ("2017/train_val_images.tar.gz", "7c784ea5e424efaec655bd392f87301f"),
    "2018": ("2018/train_val2018.tar.gz", "b1c6952ce38f31868cc50ea72d066cc3"),
    "2019": ("2019/train_val2019.tar.gz", "c60a6e2962c9b8ccbd458d12c8582644"),
    "2021_train": ("2021/train.tar.gz", "e0526d53c7f7b2e3167b2b43bb2690ed"),
    "2021_train_mini": ("2021/train_mini.tar.gz", "db6ed8330e634445efc8fec83ae81442"),
    "2021_valid": ("2021/val.tar.gz", "f6f6e0e242e3d4c9569ba56400938afc"),
}


class INaturalist(VisionDataset):
    """The pictures of one year's competition, https://github.com/visipedia/inat_comp.

    Args:
        root: folder that holds the folder VERSION with the pictures.
        version: "2017", "2018", "2019", "2021_train", "2021_train_mini" or "2021_valid".
        target_type: "full" (the species), from 2021 on also "kingdom", "phylum", "class", "order", "family" or "genus",
            before "super"; or a list of these for a tuple.
        transform, target_transform: called with the picture and with the target.
        download: fetch and unpack the pictures if they aren't there.
        loader: gives the picture in a file; Pillow's `Image.open` by default.

    Raises:
        RuntimeError: the pictures are not there, or the names of folders are not as they should be.
    """

    def __init__(
        self,
        root,
        version: str = "2021_train",
        target_type="full",
        transform=None,
        target_transform=None,
        download: bool = False,
        loader=None,
    ):
        self.version = verify_str_arg(version, "version", _FILES)
        super().__init__(os.path.join(root, version), transform=transform, target_transform=target_transform)
        os.makedirs(root, exist_ok=True)
        if download:
            self.download()
        if not self._check_exists():
            raise missing([self.root])
        self.all_categories: list[str] = []  # folders, by number
        self.categories_index: dict[str, dict[str, int]] = {}  # numbers, by rank and name
        self.categories_map: list[dict[str, int]] = []  # numbers by rank, by number of the species
        ranks, read = (
            ((*RANKS,), self._read_2021) if version.startswith("2021") else (("super",), self._read_older)
        )
        wanted = target_type if isinstance(target_type, list) else [target_type]
        self.target_type = [verify_str_arg(each, "target_type", ("full", *ranks)) for each in wanted]
        self.categories_index = {rank: {} for rank in ranks}
        read()
        self.index = [
            (number, name)
            for number, folder in enumerate(self.all_categories)
            for name in os.listdir(os.path.join(self.root, folder))
        ]
        self.loader = loader

    def _read_2021(self) -> None:
        """Folders NUMBER_KINGDOM_..._GENUS_SPECIES."""
        self.all_categories = sorted(os.listdir(self.root))
        for number, folder in enumerate(self.all_categories):
            parts = folder.split("_")
            if len(parts) != 8:
                raise RuntimeError(f"Unexpected category name {folder}, wrong number of pieces")
            if parts[0] != f"{number:05d}":
                raise RuntimeError(f"Unexpected category id {parts[0]}, expecting {number:05d}")
            numbers = {}
            for rank, name in zip(RANKS, parts[1:7], strict=True):
                known = self.categories_index[rank]
                numbers[rank] = known.setdefault(name, len(known))
            self.categories_map.append(numbers)

    def _read_older(self) -> None:
        """Folders GROUP/SPECIES, where the species is a number, but in 2017, when it is a name."""
        found: dict[int, tuple[int, str]] = {}
        for group, name in enumerate(sorted(os.listdir(self.root))):
            self.categories_index["super"][name] = group
            for folder in sorted(os.listdir(os.path.join(self.root, name))):
                if self.version != "2017" and not folder.isdecimal():
                    raise RuntimeError(f"Unexpected non-numeric dir name: {folder}")
                number = len(found) if self.version == "2017" else int(folder)
                if number in found:
                    raise RuntimeError(f"Duplicate category {folder}")
                found[number] = group, os.path.join(name, folder)
        absent = sorted(set(range(max(found, default=-1) + 1)) - set(found))
        if absent:
            raise RuntimeError(f"Missing category {absent[0]}")
        for _, (group, folder) in sorted(found.items()):
            self.categories_map.append({"super": group})
            self.all_categories.append(folder)

    def __getitem__(self, index: int):
        number, name = self.index[index]
        path = os.path.join(self.root, self.all_categories[number], name)
        image = open_picture(path) if self.loader is None else self.loader(path)
        ranks = {"full": number, **self.categories_map[number]}
        target = tuple(ranks[each] for each in self.target_type)
        return self._transformed(image, target if len(target) > 1 else target[0])

    def __len__(self) -> int:
        return len(self.index)

    def category_name(self, category_type: str, category_id: int) -> str:
        """The name of a category.

        Args:
            category_type: "full" or a rank.
            category_id: its number.

        Raises:
            ValueError: there is no such rank, or no such number.
        """
        if category_type == "full":
            return self.all_categories[category_id]
        if category_type not in self.categories_index:
            raise ValueError(f"Invalid category type '{category_type}'")
        for name, number in self.categories_index[category_type].items():
            if number == category_id:
                return name
        raise ValueError(f"Invalid category id {category_id} for {category_type}")

    def _check_exists(self) -> bool:
        return os.path.exists(self.root) and len(os.listdir(self.root)) > 0

    def download(self) -> None:
        """Fetch and unpack the archive, unless the pictures are there."""
        if self._check_exists():
            return
        file, md5 = _FILES[self.version]
        parent = os.path.dirname(self.root)
        download_and_extract_archive(_SOURCE + file, parent, filename=f"{self.version}.tgz", md5=md5)
        unpacked = os.path.join(parent, os.path.basename(file).removesuffix(".tar.gz"))
        if not os.path.exists(unpacked):
            raise RuntimeError(f"Unable to find downloaded files at {unpacked}")
        os.rename(unpacked, self.root)
