"""Random pictures."""

import rushlight as rl
from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.utils import _to_pil


class FakeData(VisionDataset):
    """Random pictures and labels, the same each time, to try programs without data.

    Args:
        size: number of pictures.
        image_size: (channels, height, width).
        num_classes: labels are below it.
        transform: applied to each picture, a PIL image.
        target_transform: applied to each label, a tensor.
        random_offset: added to the index to give the seed of each picture.

    >>> from rushlight.vision.datasets import FakeData
    >>> image, label = FakeData(image_size=(3, 8, 9))[5]
    >>> image.size, 0 <= label < 10
    ((9, 8), True)
    """

    def __init__(
        self,
        size: int = 1000,
        image_size: tuple[int, int, int] = (3, 224, 224),
        num_classes: int = 10,
        transform=None,
        target_transform=None,
        random_offset: int = 0,
    ):
        super().__init__(transform=transform, target_transform=target_transform)
        self.size, self.num_classes = size, num_classes
        self.image_size, self.random_offset = image_size, random_offset

    def __getitem__(self, index: int):
        if index >= len(self):
            raise IndexError(f"{type(self).__name__} index out of range")
        state = rl.get_rng_state()
        rl.manual_seed(index + self.random_offset)
        image = rl.randn(*self.image_size)
        target = rl.randint(0, self.num_classes, size=(1,), dtype=rl.long)[0]
        rl.set_rng_state(state)
        image, target = self._transformed(_to_pil(image.mul(255).byte().permute(1, 2, 0).numpy()), target)
        return image, target.item()

    def __len__(self) -> int:
        return self.size
