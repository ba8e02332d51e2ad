"""What the trainer adds to a step: python benchmarks/trainer.py [steps]

Steps in a plain loop and steps under `Trainer.fit` take turns, 50 of each at a time, in one process: the loader that
the trainer asks for batches runs the plain ones in between. Times are of the processor, so other work doesn't count.
Where the trainer logs the loss, the plain loop adds it up.
"""

import contextlib
import io
import itertools
import logging
import statistics
import sys
import tempfile
import time
import warnings

import rushlight as torch
from rushlight import lightning as pl
from rushlight import nn

TURN = 50  # steps: the trainer logs once in so many
SAMPLES = 4800  # an odd number of turns, so that loaders begin anew in those of both
DEFAULTS = {"logger": True, "enable_checkpointing": True, "enable_progress_bar": True}
BARE = dict.fromkeys(DEFAULTS, False)


def mlp():
    """784-64-10, and data for it."""
    model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
    return model, (torch.randn(SAMPLES, 784), torch.randint(0, 10, (SAMPLES,)))


def lenet():
    """LeNet-5 on 28 x 28, and data for it."""
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    return model, (torch.randn(SAMPLES, 1, 28, 28), torch.randint(0, 10, (SAMPLES,)))


class Model(pl.LightningModule):
    """A network with a loss; logged to the progress bar and the logger, if that is asked for."""

    def __init__(self, net, logs: bool):
        super().__init__()
        self.net, self.logs = net, logs

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = nn.functional.cross_entropy(self(x), y)
        if self.logs:
            self.log("train_loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1e-3)


class Turns:
    """A DataLoader whose batches go to plain steps and to whoever iterates over it, `TURN` at a time.

    Args:
        model, loader: what the plain steps train, and on what.
        steps: how many batches the iteration gives.
    """

    def __init__(self, model, loader, steps: int):
        self.model, self.loader, self.steps = model, loader, steps
        self.optimizer = model.configure_optimizers()
        self.times: dict[str, list] = {"plain": [], "trainer": []}
        self.total = 0.0

    def __len__(self) -> int:
        return self.steps

    def __iter__(self):
        batches = itertools.chain.from_iterable(itertools.repeat(self.loader))
        for _ in range(self.steps // TURN):
            began = time.process_time()
            self.plain_steps(itertools.islice(batches, TURN))
            turned = time.process_time()
            yield from itertools.islice(batches, TURN)
            self.times["plain"].append(turned - began)
            self.times["trainer"].append(time.process_time() - turned)

    def plain_steps(self, batches) -> None:
        """What one writes without a trainer."""
        for x, y in batches:
            self.optimizer.zero_grad()
            loss = nn.functional.cross_entropy(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            if self.model.logs:
                self.total += loss.item()


def measure(make, batch_size: int, steps: int, logs: bool, options: dict) -> tuple[float, float]:
    """Microseconds of a plain step, and what the trainer adds to it: trimmed means over turns."""
    (net, data), (plain_net, _) = make(), make()
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(*data), batch_size, shuffle=True, drop_last=True
    )
    turns = Turns(Model(plain_net, logs), loader, steps)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        trainer = pl.Trainer(max_epochs=1, enable_model_summary=False, default_root_dir=folder, **options)
        trainer.fit(Model(net, logs), turns)
    plain, trained = (trimmed_mean(turns.times[name][2:]) / TURN * 1e6 for name in ("plain", "trainer"))
    return plain, trained - plain


def trimmed_mean(values: list) -> float:
    """The mean without the tenth at each end, which other programs disturbed."""
    cut = len(values) // 10
    return statistics.mean(sorted(values)[cut : len(values) - cut])


def main(steps: int) -> None:
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    kinds = (("bare", False, BARE), ("self.log", True, BARE), ("defaults", True, DEFAULTS))
    print(f"{'':12}{'plain step':>14}" + "".join(f"{name:>22}" for name, _, _ in kinds))
    for make, batch_size in ((mlp, 32), (mlp, 64), (lenet, 32)):
        count = steps // (5 if make is lenet else 1)
        found = [measure(make, batch_size, count, logs, options) for _, logs, options in kinds]
        plain = statistics.median(a for a, _ in found)
        cells = "".join(f"{f'+{extra:.1f} us, {extra / plain:.1%}':>22}" for _, extra in found)
        print(f"{f'{make.__name__}, {batch_size}':12}{plain:>11.0f} us{cells}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
