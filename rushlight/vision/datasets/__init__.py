"""Data sets of pictures."""

from rushlight.vision.datasets._wrapped import wrap_dataset_for_transforms_v2
from rushlight.vision.datasets.characters import SEMEION, USPS, MovingMNIST, Omniglot
from rushlight.vision.datasets.cifar import CIFAR10, CIFAR100
from rushlight.vision.datasets.classified import (
    DTD,
    GTSRB,
    SUN397,
    Caltech101,
    Caltech256,
    Country211,
    EuroSAT,
    FGVCAircraft,
    Food101,
    Imagenette,
    Places365,
    RenderedSST2,
    StanfordCars,
)
from rushlight.vision.datasets.coco import CocoCaptions, CocoDetection
from rushlight.vision.datasets.collected import LSUN, SBU, LSUNClass, PhotoTour
from rushlight.vision.datasets.digits import Digits
from rushlight.vision.datasets.fakedata import FakeData
from rushlight.vision.datasets.flowers102 import Flowers102
from rushlight.vision.datasets.folder import DatasetFolder, ImageFolder
from rushlight.vision.datasets.imagenet import CLEVRClassification, ImageNet
from rushlight.vision.datasets.inaturalist import INaturalist
from rushlight.vision.datasets.keypoints import FacialKeypoints
from rushlight.vision.datasets.memory import InMemory
from rushlight.vision.datasets.mnist import EMNIST, KMNIST, MNIST, QMNIST, FashionMNIST
from rushlight.vision.datasets.oxford_iiit_pet import OxfordIIITPet
from rushlight.vision.datasets.people import FER2013, CelebA, LFWPairs, LFWPeople, WIDERFace
from rushlight.vision.datasets.scenes import Cityscapes, Flickr8k, Flickr30k, Kitti, SBDataset
from rushlight.vision.datasets.segmentation import SegmentationPairs
from rushlight.vision.datasets.stl10 import STL10
from rushlight.vision.datasets.svhn import SVHN
from rushlight.vision.datasets.table import CSVDataset
from rushlight.vision.datasets.videos import HMDB51, UCF101, Kinetics
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.datasets.voc import VOCDetection, VOCSegmentation

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "DTD",
    "EMNIST",
    "FER2013",
    "GTSRB",
    "HMDB51",
    "KMNIST",
    "LSUN",
    "MNIST",
    "QMNIST",
    "SBU",
    "SEMEION",
    "STL10",
    "SUN397",
    "SVHN",
    "UCF101",
    "USPS",
    "CLEVRClassification",
    "CSVDataset",
    "Caltech101",
    "Caltech256",
    "CelebA",
    "Cityscapes",
    "CocoCaptions",
    "CocoDetection",
    "Country211",
    "DatasetFolder",
    "Digits",
    "EuroSAT",
    "FGVCAircraft",
    "FacialKeypoints",
    "FakeData",
    "FashionMNIST",
    "Flickr8k",
    "Flickr30k",
    "Flowers102",
    "Food101",
    "INaturalist",
    "ImageFolder",
    "ImageNet",
    "Imagenette",
    "InMemory",
    "Kinetics",
    "Kitti",
    "LFWPairs",
    "LFWPeople",
    "LSUNClass",
    "MovingMNIST",
    "Omniglot",
    "OxfordIIITPet",
    "PhotoTour",
    "Places365",
    "RenderedSST2",
    "SBDataset",
    "SegmentationPairs",
    "StanfordCars",
    "VOCDetection",
    "VOCSegmentation",
    "VisionDataset",
    "WIDERFace",
    "wrap_dataset_for_transforms_v2",
]
