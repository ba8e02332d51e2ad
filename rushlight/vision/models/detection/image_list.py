"""Pictures of different sizes in one tensor."""


class ImageList:
    """Pictures of different sizes, padded to one.

    Args:
        tensors: (N, C, H, W).
        image_sizes: (height, width) of each before padding.
    """

    def __init__(self, tensors, image_sizes: list[tuple[int, int]]):
        self.tensors = tensors
        self.image_sizes = image_sizes

    def to(self, device) -> "ImageList":
        """The same on another device."""
        return ImageList(self.tensors.to(device), self.image_sizes)
