"""Semantic segmentation with a frozen MobileNetV2: only a small decoder on top of it learns.

    python examples/frozen_encoder.py --weights FILE        with torchvision's mobilenet_v2-*.pth

Synthetic data: the shapes of segmentation.py. Without a file of weights the encoder first learns to name single shapes, and
is frozen then. Reports the mean intersection over union on new pictures, beside that on an encoder with random weights.
"""

import pathlib

from common import options
from segmentation import CLASSES, drawn, mean_iou
from tqdm import tqdm

import rushlight as torch
from rushlight import nn
from rushlight.vision.models import mobilenet_v2
from rushlight.vision.utils import draw_segmentation_masks, make_grid, save_image


def encoder(weights: str):
    """The layers of MobileNetV2 up to an eighth of the size, 32 channels, and how many they are."""
    model = mobilenet_v2()
    if weights:
        model.load_state_dict(torch.load(pathlib.Path(weights)))
    return model.features[:7]


def learn(model, x, y, epochs: int, criterion=nn.functional.cross_entropy, lr: float = 3e-3) -> None:
    """Adam on what is not frozen."""
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr)
    batches = -(-len(x) // 16)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, epochs=epochs, steps_per_epoch=batches)
    for epoch in range(epochs):
        for chosen in tqdm(torch.randperm(len(x)).split(16), f"epoch {epoch + 1}", mininterval=1):
            loss = criterion(model(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def segment(features, x, y, epochs: int):
    """A decoder on frozen features; the features are in evaluation mode, as their statistics are frozen too."""
    features.eval().requires_grad_(False)
    decoder = nn.Sequential(
        nn.ConvTranspose2d(32, 48, 4, stride=2, padding=1), nn.BatchNorm2d(48), nn.ReLU(),
        nn.ConvTranspose2d(48, 32, 4, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, len(CLASSES), 1), nn.Upsample(size=x.shape[-2:], mode="bilinear"),
    )  # fmt: skip
    model = nn.Sequential(features, decoder)
    learn(model, x, y, epochs, nn.CrossEntropyLoss(ignore_index=-1))
    return model.eval()


def name_shapes(features, x, y, epochs: int) -> None:
    """Learn which shapes are in a picture: three yes-or-no questions."""
    present = torch.stack([(y == i).flatten(1).any(1) for i in range(1, len(CLASSES))], 1).float()
    head = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(32, len(CLASSES) - 1))
    learn(nn.Sequential(features, head), x, present, epochs, nn.functional.binary_cross_entropy_with_logits)


def main() -> None:
    """Decoders on a random and on a trained encoder."""
    args = options(__doc__, {"pictures": 32, "epochs": 1}, weights="", pictures=1500, epochs=10)
    x, y = drawn(args.pictures, args.seed)
    held_out, truth = drawn(40 if args.quick else 200, args.seed + 1)
    trained = encoder(args.weights)
    if not args.weights:
        name_shapes(trained, x, y, args.epochs)
    report = []
    for name, features in (("random", encoder("")), ("trained", trained)):
        model = segment(features, x, y, args.epochs)
        with torch.no_grad():
            guess = torch.cat([model(a).argmax(1) for a in held_out.split(50)])
        report.append(f"{mean_iou(guess, truth):.3f} on a {name} frozen encoder")
    colours = ["black", "red", "lime", "blue"]
    shown = [
        draw_segmentation_masks(image, torch.stack([mask == i for i in range(4)]), alpha=0.7, colors=colours)
        for image, mask in zip(held_out[:8], guess[:8], strict=True)
    ]
    save_image(make_grid(torch.stack([*held_out[:8], *shown]), nrow=8), args.out / "frozen_encoder.png")
    print(f"mean IoU {', '.join(report)}; {args.out / 'frozen_encoder.png'}")


if __name__ == "__main__":
    main()
