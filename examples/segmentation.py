"""Semantic segmentation: a small U-Net labels every pixel of pictures of shapes that this program draws.

    python examples/segmentation.py --out out

Synthetic data: circles, squares and triangles in random colours on a noisy ground. Reports the mean intersection over
union of the four classes (ground and the three shapes) on pictures that were not trained on.
"""

import argparse
import pathlib
import time

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

import rushlight as torch
from rushlight.vision.models import UNet
from rushlight.vision.utils import draw_segmentation_masks, make_grid, save_image

CLASSES = ("ground", "circle", "square", "triangle")
COLORS = ["black", "red", "lime", "blue"]
SIZE = 64


def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One picture [3, SIZE, SIZE] from 0 to 1 and its labels [SIZE, SIZE]."""
    image, mask = (
        Image.new("RGB", (SIZE, SIZE), tuple(random.integers(0, 256, 3))),
        Image.new("L", (SIZE, SIZE)),
    )
    for _ in range(random.integers(1, 5)):
        label, r = random.integers(1, 4), random.integers(7, 16)
        x, y = random.integers(r, SIZE - r, 2)
        color = tuple(random.integers(0, 256, 3).tolist())
        for canvas, paint in ((image, color), (mask, int(label))):
            pen = ImageDraw.Draw(canvas)
            if label == 1:
                pen.ellipse((x - r, y - r, x + r, y + r), paint)
            elif label == 2:
                pen.rectangle((x - r, y - r, x + r, y + r), paint)
            else:
                pen.polygon([(x - r, y + r), (x + r, y + r), (x, y - r)], paint)
    pixels = np.asarray(image, np.float32).transpose(2, 0, 1) / 255
    return np.clip(pixels + random.normal(0, 0.06, pixels.shape), 0, 1).astype(np.float32), np.asarray(
        mask, np.int64
    )


def drawn(count: int, seed: int):
    """Pictures [N, 3, SIZE, SIZE] and labels [N, SIZE, SIZE]."""
    random = np.random.default_rng(seed)
    images, masks = zip(*(draw(random) for _ in range(count)), strict=True)
    return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(masks))


def mean_iou(guess, truth) -> float:
    """Intersection over union, averaged over the classes."""
    counts = torch.bincount((truth * len(CLASSES) + guess).flatten(), minlength=len(CLASSES) ** 2)
    counts = counts.view(len(CLASSES), -1).float()
    both = counts.diagonal()
    return (both / (counts.sum(0) + counts.sum(1) - both)).mean().item()


def main() -> None:
    """Draw, train, evaluate, show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=1500)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out"))
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    data = torch.utils.data.TensorDataset(*drawn(args.pictures, args.seed))
    loader = torch.utils.data.DataLoader(data, batch_size=16, shuffle=True)
    model = UNet(num_classes=len(CLASSES), width=16, depth=3)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 3e-3, epochs=args.epochs, steps_per_epoch=len(loader)
    )
    start = time.perf_counter()
    for epoch in range(args.epochs):
        for x, y in tqdm(loader, f"epoch {epoch + 1}", unit="batch", mininterval=1):
            loss = torch.nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    seconds = time.perf_counter() - start

    images, masks = drawn(200, args.seed + 1)
    model.eval()
    with torch.no_grad():
        guess = torch.cat([model(x).argmax(1) for x in images.split(50)])
    args.out.mkdir(parents=True, exist_ok=True)
    chosen = [
        draw_segmentation_masks(image, torch.stack([mask == i for i in range(4)]), alpha=0.7, colors=COLORS)
        for masks_of in (masks, guess)
        for image, mask in zip(images[:8], masks_of[:8], strict=True)
    ]
    save_image(make_grid(torch.stack([*images[:8], *chosen]), nrow=8), args.out / "segmentation.png")
    print(
        f"mean IoU {mean_iou(guess, masks):.3f} on {len(images)} new pictures, after {seconds:.0f} s of training"
    )
    print(f"picture: {args.out / 'segmentation.png'} (pictures, truth, prediction)")


if __name__ == "__main__":
    main()
