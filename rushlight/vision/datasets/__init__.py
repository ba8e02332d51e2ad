"""Data sets of pictures."""

from rushlight.vision.datasets.cifar import CIFAR10, CIFAR100
from rushlight.vision.datasets.coco import CocoCaptions, CocoDetection
from rushlight.vision.datasets.digits import Digits
from rushlight.vision.datasets.fakedata import FakeData
from rushlight.vision.datasets.flowers102 import Flowers102
from rushlight.vision.datasets.folder import DatasetFolder, ImageFolder
from rushlight.vision.datasets.keypoints import FacialKeypoints
from rushlight.vision.datasets.memory import InMemory
from rushlight.vision.datasets.mnist import EMNIST, KMNIST, MNIST, QMNIST, FashionMNIST
from rushlight.vision.datasets.oxford_iiit_pet import OxfordIIITPet
from rushlight.vision.datasets.segmentation import SegmentationPairs
from rushlight.vision.datasets.stl10 import STL10
from rushlight.vision.datasets.svhn import SVHN
from rushlight.vision.datasets.table import CSVDataset
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.datasets.voc import VOCDetection, VOCSegmentation

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "EMNIST",
    "KMNIST",
    "MNIST",
    "QMNIST",
    "STL10",
    "SVHN",
    "CSVDataset",
    "CocoCaptions",
    "CocoDetection",
    "DatasetFolder",
    "Digits",
    "FacialKeypoints",
    "FakeData",
    "FashionMNIST",
    "Flowers102",
    "ImageFolder",
    "InMemory",
    "OxfordIIITPet",
    "SegmentationPairs",
    "VOCDetection",
    "VOCSegmentation",
    "VisionDataset",
]
