"""Transfer learning: what a network learned on Fashion-MNIST helps it to read digits of which it sees only 500.

    python examples/transfer.py --data DATA

Trains on clothes, takes the convolutions over and fine-tunes everything on the digits, the first layer with a smaller
learning rate; beside it, the same network trained as long on the 500 digits alone.
"""

import argparse
import pathlib
import time

import numpy as np
from pictures import accuracy, network, read, train

import rushlight as torch
from rushlight.utils.finetune import load_matching, parameter_groups

WIDTHS = (32, 64)


def tensors(images: np.ndarray, labels: np.ndarray):
    """Pictures with mean 0 and labels, as tensors."""
    return torch.from_numpy((images - 0.2) / 0.33), torch.from_numpy(labels)


def fit(model, images, labels, epochs: int, groups) -> None:
    """Plain training: Adam with a cosine schedule, in small batches."""
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(images, labels), batch_size=25, shuffle=True
    )
    optimizer = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    model.train()
    for _ in range(epochs):
        for x, y in loader:
            loss = torch.nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()


def main() -> None:
    """Both ways, on the same digits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("data"))
    parser.add_argument("--clothes", type=int, default=30_000, help="pictures of clothes to learn from")
    parser.add_argument("--digits", type=int, default=500, help="digits to learn from")
    parser.add_argument("--epochs", type=int, default=8, help="on the digits")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    start = time.perf_counter()

    clothes, kinds = read("fashion", args.data, train=True)
    teacher = network(torch, 1, WIDTHS)
    train(
        torch,
        teacher,
        *tensors(clothes[: args.clothes], kinds[: args.clothes]),
        3,
        0.05,
        shift=3,
        mirror=False,
    )

    images, labels = read("mnist", args.data, train=True)
    few = tensors(images[: args.digits], labels[: args.digits])
    held_out = tensors(*read("mnist", args.data, train=False))

    alone = network(torch, 1, WIDTHS)
    fit(alone, *few, args.epochs, parameter_groups(alone, 3e-3))

    pupil = network(torch, 1, WIDTHS)
    last = f"{len(pupil) - 1}."
    weights = {name: w for name, w in teacher.state_dict().items() if not name.startswith(last)}
    print("taken over:", load_matching(pupil, weights))
    fit(pupil, *few, args.epochs, parameter_groups(pupil, 3e-3, parts={"0": 1e-3}))

    scratch, transferred = (accuracy(torch, model, *held_out) for model in (alone, pupil))
    print(
        f"{args.digits} digits: {scratch:.2%} from scratch, {transferred:.2%} after Fashion-MNIST, "
        f"in {time.perf_counter() - start:.0f} s"
    )


if __name__ == "__main__":
    main()
