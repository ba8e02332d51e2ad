"""Pascal VOC: photographs with segmentations, and with boxes."""

import os
import xml.etree.ElementTree as ElementTree

from rushlight.vision.datasets._pictures import open_picture
from rushlight.vision.datasets.utils import download_and_extract_archive, missing, verify_str_arg
from rushlight.vision.datasets.vision import VisionDataset

_SERVER = "https://thor.robots.ox.ac.uk/pascal/VOC/"
DATASET_YEAR_DICT = {
    key: {
        "url": f"{_SERVER}voc{key[:4]}/{archive}.tar",
        "filename": f"{archive}.tar",
        "md5": md5,
        "base_dir": os.path.join(*folder.split("/")),
    }
    for key, archive, md5, folder in (
        ("2012", "VOCtrainval_11-May-2012", "6cd6e144f989b92b3379bac3b3de84fd", "VOCdevkit/VOC2012"),
        ("2011", "VOCtrainval_25-May-2011", "6c3384ef61512963050cb5d687e5bf1e", "TrainVal/VOCdevkit/VOC2011"),
        ("2010", "VOCtrainval_03-May-2010", "da459979d0c395079b5c75ee67908abb", "VOCdevkit/VOC2010"),
        ("2009", "VOCtrainval_11-May-2009", "a3e00b113cfcfebf17e343f59da3caa1", "VOCdevkit/VOC2009"),
        ("2008", "VOCtrainval_14-Jul-2008", "2629fa636546599198acfcfbfcf1904a", "VOCdevkit/VOC2008"),
        ("2007", "VOCtrainval_06-Nov-2007", "c52e279531787c972589f7e41ab4ae64", "VOCdevkit/VOC2007"),
        ("2007-test", "VOCtest_06-Nov-2007", "b6e924de25625d8de591ea690078ad9f", "VOCdevkit/VOC2007"),
    )
}


class _VOC(VisionDataset):
    """What both data sets share.

    Args:
        root: folder with `VOCdevkit/VOC2012` and so on.
        year: "2007" to "2012".
        image_set: "train", "val" or "trainval", for 2007 also "test".
        download: fetch and unpack the archive.
        transform: applied to each picture, a PIL image of mode RGB.
        target_transform: applied to each target.
        transforms: applied to both; instead of the other two.
    """

    _SPLITS_DIR: str
    _TARGET_DIR: str
    _TARGET_FILE_EXT: str

    def __init__(
        self,
        root,
        year: str = "2012",
        image_set: str = "train",
        download: bool = False,
        transform=None,
        target_transform=None,
        transforms=None,
    ):
        super().__init__(root, transforms, transform, target_transform)
        self.year = verify_str_arg(year, "year", [str(number) for number in range(2007, 2013)])
        sets = ["train", "trainval", "val", *(["test"] if year == "2007" else [])]
        self.image_set = verify_str_arg(image_set, "image_set", sets)
        source = DATASET_YEAR_DICT["2007-test" if (year, image_set) == ("2007", "test") else year]
        self.url, self.filename, self.md5 = source["url"], source["filename"], source["md5"]
        if download:
            download_and_extract_archive(self.url, self.root, filename=self.filename, md5=self.md5)
        folder = os.path.join(self.root, source["base_dir"])
        if not os.path.isdir(folder):
            raise missing([folder])
        with open(os.path.join(folder, "ImageSets", self._SPLITS_DIR, f"{image_set}.txt")) as file:
            names = [line.strip() for line in file]
        self.images = [os.path.join(folder, "JPEGImages", f"{name}.jpg") for name in names]
        self.targets = [
            os.path.join(folder, self._TARGET_DIR, name + self._TARGET_FILE_EXT) for name in names
        ]

    def _target(self, path: str):
        raise NotImplementedError

    def __getitem__(self, index: int):
        image, target = open_picture(self.images[index], "RGB"), self._target(self.targets[index])
        return (image, target) if self.transforms is None else self.transforms(image, target)

    def __len__(self) -> int:
        return len(self.images)


class VOCSegmentation(_VOC):
    """Pictures and their segmentations, PIL images of mode P with 0 for background, 1 to 20 and 255 for void.

    Source: M. Everingham and others, "The Pascal Visual Object Classes (VOC) Challenge" (2010).
    """

    __doc__ += _VOC.__doc__.partition("\n")[2]
    _SPLITS_DIR, _TARGET_DIR, _TARGET_FILE_EXT = "Segmentation", "SegmentationClass", ".png"

    @property
    def masks(self) -> list[str]:
        """The files of the segmentations."""
        return self.targets

    def _target(self, path: str):
        return open_picture(path)


class VOCDetection(_VOC):
    """Pictures and their annotations, the tree of an XML file as a dict of texts.

    Fields that a file lacks are absent from the dict; `wrap_dataset_for_transforms_v2` makes boxes and labels of it, and
    names the file where they can't be made.

    Source: M. Everingham and others, "The Pascal Visual Object Classes (VOC) Challenge" (2010).
    """

    __doc__ += _VOC.__doc__.partition("\n")[2]
    _SPLITS_DIR, _TARGET_DIR, _TARGET_FILE_EXT = "Main", "Annotations", ".xml"

    @property
    def annotations(self) -> list[str]:
        """The files of the annotations."""
        return self.targets

    def _target(self, path: str) -> dict:
        with open(path, "rb") as file:
            content = file.read()
        if b"<!ENTITY" in content:  # a few of them can expand to gigabytes
            raise ValueError(f"{path}: refused, annotations don't define entities")
        try:
            found = self.parse_voc_xml(ElementTree.fromstring(content))
        except ElementTree.ParseError as error:
            raise ValueError(f"{path}: damaged annotation: {error}") from error
        if "annotation" not in found:
            raise ValueError(f"{path}: no annotation, but {', '.join(found) or 'nothing'}")
        return found

    @staticmethod
    def parse_voc_xml(node) -> dict:
        """A tree of XML elements as a dict: texts at its leaves, lists where a tag repeats, and for objects."""
        children = list(node)
        if not children:
            return {node.tag: node.text.strip()} if node.text else {}
        found: dict = {}
        for child in children:
            for tag, value in VOCDetection.parse_voc_xml(child).items():
                found.setdefault(tag, []).append(value)
        if node.tag == "annotation":
            found["object"] = [found.get("object", [])]
        return {node.tag: {tag: values[0] if len(values) == 1 else values for tag, values in found.items()}}
