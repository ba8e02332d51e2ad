"""Run every example, and say what each reports and how much processor time it takes.

python examples/all.py                      small, to see that they run
python examples/all.py --data DATA          small, those that need real data too
python examples/all.py --full --data DATA   as they are meant; the table of docs/examples.md
"""

import argparse
import pathlib
import resource
import subprocess
import sys

FOLDER = pathlib.Path(__file__).parent

# Each example: the system, the data it reports on, the options that make it small.
EXAMPLES = {
    "regression": ("linear and logistic regression", "synthetic houses", "--quick"),
    "two_layers": ("two layers, backward by hand, gradients checked", "digits", "--quick"),
    "batchnet": ("BatchNet, softmax regression", "digits", "--quick"),
    "overfitting": ("dropout, weight decay, early stopping", "digits", "--quick"),
    "uncertainty": ("dropout at test time, temperature, bagging", "digits", "--quick"),
    "kfold": ("k-fold cross-validation", "digits", "--quick"),
    "search": ("N layers, grid and random search", "CIFAR-10", "--quick"),
    "lightning_cifar10": ("classifier on the trainer", "CIFAR-10", "--quick"),
    "architectures": ("LeNet, AlexNet, VGG, GoogLeNet, ResNet", "digits", "--quick"),
    "digits": ("LeNet-5, saved, loaded, drawn", "bundled digits", "--epochs 1"),
    "pictures mnist": ("residual network", "MNIST", "--epochs 1 --limit 200 --test 200"),
    "pictures fashion": ("residual network", "Fashion-MNIST", "--epochs 1 --limit 200 --test 200"),
    "pictures cifar10": ("residual network", "CIFAR-10, a fifth", "--epochs 1 --limit 200 --test 200"),
    "transfer": ("transfer learning", "Fashion-MNIST, MNIST", "--clothes 300 --digits 100 --epochs 1"),
    "autoencoder": ("autoencoder, then a classifier on 100 labels", "digits", "--quick"),
    "vae": ("variational autoencoder", "digits", "--quick"),
    "dcgan": ("DCGAN", "digits", "--quick"),
    "keypoints": ("keypoint regression", "synthetic faces", "--faces 64 --epochs 1"),
    "segmentation": ("U-Net", "synthetic shapes", "--pictures 32 --epochs 1"),
    "frozen_encoder": ("decoder on a frozen MobileNetV2", "synthetic shapes", "--quick"),
    "detector": ("RetinaNet", "synthetic shapes", "--pictures 32 --test-pictures 20 --epochs 1"),
    "characters": ("character RNN, LSTM, GRU", "this documentation", "--quick"),
    "dates": ("Transformer that rewrites dates", "synthetic dates", "--quick"),
    "himmelblau": ("optimizers on Himmelblau's function", "a function", "--quick"),
}
REAL = ("pictures", "transfer")  # need --data
OPTIONAL = ("two_layers", "batchnet", "overfitting", "uncertainty", "kfold", "search", "lightning_cifar10", "architectures",
            "autoencoder", "vae", "dcgan")  # fmt: skip


def command(name: str, small: bool, data: pathlib.Path | None, out: pathlib.Path) -> list[str]:
    """The example's file and options."""
    script, *arguments = name.split()
    if small:
        arguments += EXAMPLES[name][2].split()
    if data is not None and script in REAL + OPTIONAL:
        arguments += ["--data", str(data)]
    if script != "transfer":
        arguments += ["--out", str(out)]
    return [str(FOLDER / f"{script}.py"), *arguments]


def processor_seconds() -> float:
    """What the examples have taken so far: on a busy machine the clock says little."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run them, one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out"))
    parser.add_argument("--only", nargs="*", default=list(EXAMPLES), metavar="NAME", help="some of them")
    args = parser.parse_args()
    names = [name for name in args.only if args.data is not None or name.split()[0] not in REAL]
    failed = []
    print("| example | system | data | what it reports | seconds |\n|---|---|---|---|---:|")
    for name in names:
        start = processor_seconds()
        line = command(name, not args.full, args.data, args.out)
        process = subprocess.run([sys.executable, *line], capture_output=True, text=True)
        seconds = processor_seconds() - start
        if process.returncode:
            failed.append(name)
            print(process.stderr, file=sys.stderr)
        reports = [row for row in process.stdout.splitlines() if not row.startswith(("picture:", "weights:"))]
        report = reports[-1].split(f"; {args.out}")[0] if reports and not process.returncode else "failed"
        system, data, _ = EXAMPLES[name]
        print(f"| `{name}` | {system} | {data} | {report} | {seconds:.0f} |", flush=True)
    skipped = len(args.only) - len(names)
    if skipped:
        print(f"{skipped} more need real data: --data", file=sys.stderr)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
