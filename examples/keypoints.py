"""Keypoint regression: a convolutional network finds eyes, nose and mouth in faces that this program draws.

    python examples/keypoints.py --out out

Synthetic data: 96x96 grey pictures of faces of five points, as in the facial keypoints data set, whose layout
(points from -1 to 1) it follows. Reports the mean distance in pixels on faces that were not trained on.
"""

import argparse
import pathlib
import time

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from tqdm import tqdm

import rushlight as torch
from rushlight import nn
from rushlight.vision.utils import draw_keypoints, make_grid, save_image

SIZE = 96
FACE = np.array([[-0.45, -0.3], [0.45, -0.3], [0.0, 0.1], [-0.35, 0.5], [0.35, 0.5]])  # in face widths


def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One face [1, SIZE, SIZE] from 0 to 1, and its points [5, 2] in pixels (x, y)."""
    turn, size = random.uniform(-0.5, 0.5), random.uniform(18, 30)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = random.uniform(1.25 * size, SIZE - 1.25 * size, 2)
    points = (FACE * random.uniform(0.85, 1.15, (1, 2))) @ rotation.T * size + middle
    ground, skin, dark = random.integers(0, 100), random.integers(140, 250), random.integers(10, 90)
    image = Image.new("L", (SIZE, SIZE), int(ground))
    pen = ImageDraw.Draw(image)
    outline = [
        tuple(np.array([np.cos(a), 1.25 * np.sin(a)]) @ rotation.T * size + middle)
        for a in np.linspace(0, 2 * np.pi, 40)
    ]
    pen.polygon(outline, int(skin))
    for x, y in points[:2]:
        r = size * 0.12
        pen.ellipse((x - r, y - r, x + r, y + r), int(dark))
    pen.line([tuple((points[0] + points[1]) / 2), tuple(points[2])], int(dark), 2)
    pen.line(
        [tuple(points[3]), tuple(points[3:].mean(0) + rotation @ [0, size * 0.15]), tuple(points[4])],
        int(dark),
        3,
    )
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.2))), np.float32) / 255
    return np.clip(pixels + random.normal(0, 0.05, pixels.shape), 0, 1)[None].astype(np.float32), points


def drawn(count: int, seed: int):
    """Faces [N, 1, SIZE, SIZE] and points [N, 5, 2] from -1 to 1."""
    random = np.random.default_rng(seed)
    images, points = zip(*(draw(random) for _ in range(count)), strict=True)
    return torch.from_numpy(np.stack(images)), torch.from_numpy(
        (np.stack(points) / (SIZE / 2) - 1).astype(np.float32)
    )


def network():
    """Five halvings, then two linear layers."""
    layers, inside = [], 1
    for outside in (16, 32, 48, 64, 96):
        layers += [
            nn.Conv2d(inside, outside, 3, padding=1),
            nn.BatchNorm2d(outside),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
        inside = outside
    head = [nn.Flatten(), nn.Linear(96 * 9, 128), nn.ReLU(), nn.Linear(128, 10), nn.Unflatten(1, (5, 2))]
    return nn.Sequential(*layers, *head)


def main() -> None:
    """Draw, train, evaluate, show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out"))
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    data = torch.utils.data.TensorDataset(*drawn(args.faces, args.seed))
    loader = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True)
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 2e-3, epochs=args.epochs, steps_per_epoch=len(loader)
    )
    start = time.perf_counter()
    for epoch in range(args.epochs):
        for x, y in tqdm(loader, f"epoch {epoch + 1}", unit="batch", mininterval=1):
            loss = nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    seconds = time.perf_counter() - start

    images, points = drawn(300, args.seed + 1)
    model.eval()
    with torch.no_grad():
        guess = torch.cat([model(x) for x in images.split(100)])
    distance = ((guess - points) * (SIZE / 2)).norm(dim=-1).mean().item()
    shown = [
        draw_keypoints(image.expand(3, -1, -1), ((found + 1) * (SIZE / 2))[None], colors="red", radius=2)
        for image, found in zip(images[:16], guess[:16], strict=True)
    ]
    args.out.mkdir(parents=True, exist_ok=True)
    save_image(make_grid(torch.stack(shown), nrow=8), args.out / "keypoints.png")
    print(
        f"mean distance {distance:.2f} pixels on {len(images)} new faces, after {seconds:.0f} s of training"
    )
    print(f"picture: {args.out / 'keypoints.png'}")


if __name__ == "__main__":
    main()
