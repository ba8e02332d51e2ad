"""Time per sample as batches and networks grow, beside PyTorch's: what costs more than its share is marked.

    python benchmarks/scaling.py                                     all series, with 1 and 2 threads
    python benchmarks/scaling.py mlp_batch conv_width --threads 1

Each step is a training step with SGD. Both frameworks take turns in processes of their own, and the median over the
rounds counts. Marks:

- `slower sample`: rushlight takes more than 30 % longer for a sample than at the size before (batches), or for a
  unit of arithmetic (widths).
- `cheaper step`: a whole step takes over 20 % less than at the size before, so that the one before was too slow.
"""

import argparse
import importlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
FRAMEWORKS = ("rushlight", "torch")
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


def mlp(torch, batch, width):
    """784, width, width, 10: the model, its input, and its multiply-adds for a sample."""
    nn = torch.nn
    model = nn.Sequential(
        nn.Linear(784, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
    )
    return model, torch.randn(batch, 784), 784 * width + width * width + 10 * width


def conv(torch, batch, width):
    """Two 3x3 convolutions with batch norm on 16x16 pictures of `width` channels."""
    nn = torch.nn
    layers = []
    for _ in range(2):
        layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))
    return model, torch.randn(batch, width, 16, 16), 2 * 9 * 256 * width * width


def lstm(torch, batch, width):
    """An LSTM of `width` inputs and units over 20 steps, and a linear layer."""

    class Classifier(torch.nn.Module):
        """The last output, classified."""

        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(width, width, batch_first=True)
            self.head = torch.nn.Linear(width, 10)

        def forward(self, x):
            return self.head(self.lstm(x)[0][:, -1])

    return Classifier(), torch.randn(batch, 20, width), 20 * 8 * width * width


def transformer(torch, batch, width):
    """A Transformer encoder layer of 4 heads over 32 places, and a linear layer."""

    class Classifier(torch.nn.Module):
        """The mean of the outputs, classified."""

        def __init__(self):
            super().__init__()
            self.encoder = torch.nn.TransformerEncoderLayer(width, 4, 2 * width, batch_first=True)
            self.head = torch.nn.Linear(width, 10)

        def forward(self, x):
            return self.head(self.encoder(x).mean(1))

    return Classifier(), torch.randn(batch, 32, width), 32 * (8 * width * width + 2 * 32 * width)


# Network, batches, widths: one of the two is a series.
SERIES = {
    "mlp_batch": (mlp, BATCHES, 256),
    "conv_batch": (conv, BATCHES, 32),
    "lstm_batch": (lstm, BATCHES, 128),
    "transformer_batch": (transformer, BATCHES, 64),
    "mlp_width": (mlp, 64, (16, 32, 64, 128, 256, 512, 1024, 2048)),
    "conv_width": (conv, 16, (8, 16, 32, 64, 128, 256)),
    "lstm_width": (lstm, 16, (16, 32, 64, 128, 256, 512)),
    "transformer_width": (transformer, 16, (16, 32, 64, 128, 256, 512)),
}


def points(series: str) -> list[tuple[int, int]]:
    """Batch and width of each measurement."""
    _, batches, widths = SERIES[series]
    if isinstance(batches, tuple):
        return [(batch, widths) for batch in batches]
    return [(batches, width) for width in widths]


def measure(framework: str, series: str, threads: int, seconds: float) -> list[list[float]]:
    """For each point the median seconds of a step, of processor time where one thread works, and its multiply-adds."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    torch = importlib.import_module(framework)
    torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    found = []
    for batch, width in points(series):
        torch.manual_seed(0)
        model, x, arithmetic = SERIES[series][0](torch, batch, width)
        y = torch.randint(0, 10, (batch,))
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
        criterion = torch.nn.CrossEntropyLoss()

        def step(model=model, x=x, y=y, optimizer=optimizer, criterion=criterion):
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            return loss.item()

        for _ in range(3):
            step()
        times, end = [], time.perf_counter() + seconds
        while len(times) < 5 or time.perf_counter() < end:
            start = clock()
            step()
            times.append(clock() - start)
        found.append([statistics.median(times), batch * arithmetic])
    return found


def in_process(framework: str, series: str, threads: int, seconds: float) -> list[list[float]]:
    """What measure() finds in a process of its own."""
    command = [sys.executable, __file__, series, "--worker", framework]
    command += ["--threads", str(threads), "--seconds", str(seconds)]
    path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": str(threads)}
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return json.loads(output.splitlines()[-1])


def compare(series: str, threads: int, args: argparse.Namespace) -> list[dict]:
    """The rows of one series: both times, their ratio, and marks."""
    runs: dict[str, list] = {f: [] for f in FRAMEWORKS}
    for _ in range(args.rounds):
        for framework in FRAMEWORKS:
            runs[framework].append(in_process(framework, series, threads, args.seconds))
    rows: list[dict] = []
    for place, (batch, width) in enumerate(points(series)):
        ours, theirs = (statistics.median(run[place][0] for run in runs[f]) for f in FRAMEWORKS)
        arithmetic = runs["rushlight"][0][place][1]
        row = {"series": series, "threads": threads, "batch": batch, "width": width, "arithmetic": arithmetic}
        rows.append(row | {"rushlight_s": ours, "torch_s": theirs, "ratio": theirs / ours})
        rows[-1]["marks"] = marks(rows[-2], rows[-1]) if place else []
    return rows


def marks(before: dict, now: dict) -> list[str]:
    """What is wrong with the growth from one size to the next."""
    growth, work = now["rushlight_s"] / before["rushlight_s"], now["arithmetic"] / before["arithmetic"]
    return ["slower sample"] * (growth > 1.3 * work) + ["cheaper step"] * (growth < 0.8)


def main() -> None:
    """Run all series and print a table of each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("series", nargs="*", help=f"some of: {', '.join(SERIES)}")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.3, help="timed seconds per point and process")
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures to this file")
    parser.add_argument("--worker", choices=FRAMEWORKS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    unknown = set(args.series) - set(SERIES)
    if unknown:
        parser.error(f"no such series: {', '.join(sorted(unknown))}; there are {', '.join(SERIES)}")
    if args.worker:
        print(json.dumps(measure(args.worker, args.series[0], args.threads[0], args.seconds)))
        return
    every = []
    for threads in args.threads:
        print("| series, threads | batch | width | rushlight µs a sample | PyTorch µs a sample | ratio | |")
        print("|---|---:|---:|---:|---:|---:|---|")
        for series in args.series or SERIES:
            for row in compare(series, threads, args):
                every.append(row)
                ours, theirs = (row[f"{f}_s"] / row["batch"] * 1e6 for f in FRAMEWORKS)
                print(
                    f"| {series}, {threads} | {row['batch']} | {row['width']} | {ours:.1f} | {theirs:.1f} "
                    f"| {row['ratio']:.2f}x | {', '.join(row['marks'])} |",
                    flush=True,
                )
        print()
    marked = [row for row in every if row["marks"]]
    print(
        f"{len(marked)} of {len(every)} marked; {sum(row['ratio'] < 1 for row in every)} slower than PyTorch"
    )
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(every, indent=1) + "\n")


if __name__ == "__main__":
    main()
