"""Train a detector to find circles, squares and triangles in pictures that this script draws, and say how well it does.

    python examples/detector.py
    python examples/detector.py --out out       also draws some of the test pictures with what is found in them

RetinaNet with a small network of its own, on 64 x 64 pictures with one to four shapes each.
"""

import argparse
import pathlib
import time
from collections import OrderedDict

import numpy as np
from tqdm import tqdm

import rushlight as torch
from rushlight import nn
from rushlight.vision.evaluation import average_precision
from rushlight.vision.models.detection import RetinaNet
from rushlight.vision.models.detection.anchor_utils import AnchorGenerator
from rushlight.vision.ops import FeaturePyramidNetwork

SIZE = 64
NAMES = ["nothing", "circle", "square", "triangle"]
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE] + 0.5


def shape_mask(kind: str, box: np.ndarray) -> np.ndarray:
    """The pixels of a shape that fills its box."""
    x1, y1, x2, y2 = box
    across, down = (COLUMNS - x1) / (x2 - x1), (ROWS - y1) / (y2 - y1)  # from 0 to 1 inside the box
    inside = (across > 0) & (across < 1) & (down > 0) & (down < 1)
    if kind == "circle":
        return inside & ((across - 0.5) ** 2 + (down - 0.5) ** 2 < 0.25)
    return inside & (np.abs(across - 0.5) < down / 2) if kind == "triangle" else inside


def draw(rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A picture (3, SIZE, SIZE) from 0 to 1, and the boxes and labels of its shapes, which hardly overlap."""
    slope = rng.uniform(-0.3, 0.3, (3, 2, 1, 1))
    picture = (
        rng.uniform(0.2, 0.8, (3, 1, 1))
        + slope[:, 0] * (ROWS / SIZE - 0.5)
        + slope[:, 1] * (COLUMNS / SIZE - 0.5)
    )
    taken, boxes, labels = np.zeros((SIZE, SIZE), bool), [], []
    for _ in range(rng.integers(1, 5)):
        side = rng.integers(10, 29)
        x, y = rng.integers(0, SIZE - side + 1, 2)
        box, label = np.array([x, y, x + side, y + side]), rng.integers(1, len(NAMES))
        mask = shape_mask(NAMES[label], box)
        if (taken & mask).sum() > 0.1 * mask.sum():
            continue
        colour = (picture[:, mask].mean(1) + rng.uniform(0.25, 0.6, 3) * rng.choice([-1, 1], 3))[:, None]
        picture[:, mask] = colour
        taken |= mask
        boxes.append(box)
        labels.append(label)
    picture = picture + rng.normal(0, 0.06, picture.shape)
    target = {"boxes": np.array(boxes, np.float32), "labels": np.array(labels, np.int64)}
    return np.clip(picture, 0, 1).astype(np.float32), target


def examples(count: int, seed: int) -> list[tuple]:
    """Pictures and targets as detectors take them."""
    rng = np.random.default_rng(seed)
    drawn = [draw(rng) for _ in range(count)]
    tensors = lambda target: {name: torch.from_numpy(value) for name, value in target.items()}
    return [(torch.from_numpy(picture), tensors(target)) for picture, target in drawn]


class Backbone(nn.Module):
    """Convolutions, and a feature pyramid of the maps that are 8 and 16 times smaller than the picture."""

    def __init__(self, widths=(16, 32, 64, 96), out_channels: int = 64):
        super().__init__()
        channels = [3, *widths]
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True),
                nn.Conv2d(b, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True),
            )
            for a, b in zip(channels, widths, strict=False)
        )  # fmt: skip
        self.pyramid = FeaturePyramidNetwork(list(widths[-2:]), out_channels)
        self.out_channels = out_channels

    def forward(self, x):
        """Two maps (N, out_channels, H, W) by name."""
        maps = OrderedDict()
        for i, stage in enumerate(self.stages):
            x = stage(x)
            maps[str(i)] = x
        return self.pyramid(OrderedDict(list(maps.items())[-2:]))


def detector() -> RetinaNet:
    """A RetinaNet whose anchors are squares of 10 to 34 pixels."""
    anchors = AnchorGenerator(((11, 15), (20, 28)), ((1.0,),) * 2)
    return RetinaNet(
        Backbone(),
        len(NAMES),
        min_size=SIZE,
        max_size=SIZE,
        anchor_generator=anchors,
        score_thresh=0.05,
        detections_per_img=20,
    )


def train(model, pictures: list[tuple], epochs: int, batch: int, rate: float) -> None:
    """Train with Adam, whose rate rises first and then falls to nothing."""
    steps = epochs * (len(pictures) // batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.15)
    model.train()
    with tqdm(total=steps, unit="batch") as bar:
        for epoch in range(epochs):
            order = torch.randperm(len(pictures)).tolist()
            for i in range(0, len(order) - batch + 1, batch):
                images, targets = zip(*[pictures[k] for k in order[i : i + batch]], strict=True)
                losses = model(list(images), list(targets))
                loss = sum(losses.values())
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                optimizer.step()
                scheduler.step()
                bar.set_postfix(epoch=epoch + 1, loss=f"{loss.item():.3f}", refresh=False)
                bar.update()


@torch.no_grad()
def detect(model, pictures: list[tuple], batch: int = 50) -> list[dict]:
    """What the model finds in every picture."""
    model.eval()
    images = [picture for picture, _ in pictures]
    return [found for i in range(0, len(images), batch) for found in model(images[i : i + batch])]


def save_drawing(path: pathlib.Path, pictures: list[tuple], found: list[dict]) -> None:
    """Draw pictures with the boxes found in them."""
    from rushlight.vision.utils import draw_bounding_boxes, make_grid, save_image

    drawn = []
    for (picture, _), own in zip(pictures, found, strict=True):
        sure = own["scores"] > 0.5
        colours = [["black", "red", "lime", "blue"][label] for label in own["labels"][sure].tolist()]
        image = (picture * 255).to(torch.uint8)
        drawn.append(draw_bounding_boxes(image, own["boxes"][sure], colors=colours) if colours else image)
    save_image(make_grid(torch.stack(drawn).float() / 255, nrow=6), path)


def main() -> None:
    """Draw, train, test."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=2000, help="training pictures")
    parser.add_argument("--test-pictures", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, help="folder for a drawing")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    pictures, tests = (
        examples(options.pictures, options.seed),
        examples(options.test_pictures, options.seed + 1),
    )
    model = detector()
    start = time.perf_counter()
    train(model, pictures, options.epochs, options.batch, options.rate)
    seconds = time.perf_counter() - start
    found = detect(model, tests)
    precision = average_precision(found, [target for _, target in tests])
    for label, value in precision.items():
        print(f"{NAMES[label]:10} average precision {value:.3f}")
    mean = sum(precision.values()) / len(precision)
    print(f"mAP50 {mean:.3f} on {len(tests)} test pictures after {seconds:.0f} s of training")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        save_drawing(options.out / "detector.png", tests[:24], found[:24])


if __name__ == "__main__":
    main()
