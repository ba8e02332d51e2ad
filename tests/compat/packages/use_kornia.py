"""Colours, filters, geometry, augmentations, features, losses and metrics over images."""

import kornia as K
import torch

torch.manual_seed(0)
x = torch.rand(2, 3, 24, 24)


def show(name, value):
    values = value if isinstance(value, tuple | list) else [value]
    for v in values:
        v = v.detach().double()
        print(
            name,
            tuple(v.shape),
            f"{v.mean():.5f} {v.std():.5f}",
            [f"{e:.4f}" for e in v.flatten()[:4].tolist()],
        )


for name in (
    "rgb_to_grayscale",
    "rgb_to_hsv",
    "rgb_to_lab",
    "rgb_to_ycbcr",
    "rgb_to_yuv",
    "rgb_to_luv",
    "rgb_to_hls",
    "rgb_to_xyz",
):
    show(name, getattr(K.color, name)(x))
show("gaussian", K.filters.gaussian_blur2d(x, (5, 5), (1.5, 1.5)))
show("sobel", K.filters.sobel(x))
show("canny", K.filters.canny(x))
show("median", K.filters.median_blur(x, (3, 3)))
show("laplacian", K.filters.laplacian(x, 3))
show("unsharp", K.filters.unsharp_mask(x, (3, 3), (1.0, 1.0)))
show("bilateral", K.filters.bilateral_blur(x, (3, 3), 0.1, (1.0, 1.0)))
show("rotate", K.geometry.rotate(x, torch.tensor([30.0, 60.0])))
turn = K.geometry.get_rotation_matrix2d(
    torch.full((2, 2), 12.0), torch.tensor([20.0, 40.0]), torch.ones(2, 2)
)
show("warp", K.geometry.warp_affine(x, turn, (20, 20)))
points = torch.tensor([[[0.0, 0.0], [23.0, 0.0], [23.0, 23.0], [0.0, 23.0]]]).repeat(2, 1, 1)
view = K.geometry.get_perspective_transform(points, points + torch.rand(2, 4, 2))
show("perspective", K.geometry.warp_perspective(x, view, (24, 24)))
show("resize", K.geometry.resize(x, (12, 16)))
show("pyramid", K.geometry.pyrdown(x))
show("axis angle", K.geometry.axis_angle_to_rotation_matrix(torch.rand(3, 3)))
show("quaternion", K.geometry.rotation_matrix_to_quaternion(torch.eye(3)[None]))
show("equalize", K.enhance.equalize(x))
show("adjust", K.enhance.adjust_brightness(x, 0.2))
show("histogram", K.enhance.histogram(x[0, :1].flatten(1), torch.linspace(0, 1, 8), torch.tensor(0.05)))
show("harris", K.feature.harris_response(x[:, :1]))
show("ssim", K.metrics.ssim(x, x.flip(0), 5))
show("psnr", K.metrics.psnr(x, x.flip(0), 1.0))
labels = torch.randint(3, (2, 24, 24))
for loss in (K.losses.DiceLoss(), K.losses.FocalLoss(0.5, reduction="mean"), K.losses.TverskyLoss(0.3, 0.7)):
    logits = x.clone().requires_grad_()
    loss(logits, labels).backward()
    show(type(loss).__name__, logits.grad)
show("tv", K.losses.total_variation(x))
show("dilation", K.morphology.dilation(x, torch.ones(3, 3)))
augment = K.augmentation.AugmentationSequential(
    K.augmentation.RandomHorizontalFlip(p=0.5), K.augmentation.RandomAffine(30.0, (0.1, 0.1), p=1.0),
    K.augmentation.ColorJitter(0.1, 0.1, 0.1, 0.1, p=1.0), K.augmentation.RandomErasing(p=1.0), data_keys=["input", "mask"],
)  # fmt: skip
show("augmented", augment(x, labels[:, None].float()))
