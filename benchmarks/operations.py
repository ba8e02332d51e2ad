"""Microseconds of single operations on few, some and many elements, forward and with backward, beside PyTorch's.

    python benchmarks/operations.py                        all, slowest against PyTorch first
    python benchmarks/operations.py softmax conv           those with such a word in them
    python benchmarks/operations.py --sizes small --below 1 --json out/operations.json

Both frameworks take turns in processes of their own, on one thread; each figure is the median over the rounds of the
best of several repetitions.
"""

import argparse
import importlib
import json
import math
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time
import timeit
import warnings

FRAMEWORKS = ("rushlight", "torch")
# Side of the square x and y; batch, channels and side of pictures; batch, length and width of sequences.
SIZES = {
    "small": {"n": 2, "picture": (1, 4, 4), "sequence": (1, 4, 8), "square": 4},
    "medium": {"n": 64, "picture": (4, 16, 16), "sequence": (4, 16, 32), "square": 32},
    "large": {"n": 1024, "picture": (16, 64, 32), "sequence": (16, 128, 512), "square": 256},
}
# x, y, z: n x n; p, q: the same in (0, 1); b: the same of bools, i: of places; v: n; k: n places; t: n classes.
DIFFERENTIABLE = """
x + y; x - y; x * y; x / y; x + 1.5; x * 2.0; 2.0 - x; 1.0 / p; x + v; x * v; x * v[:, None]; -x; x ** 2
p ** 1.5; x.abs(); x.exp(); p.log(); p.log1p(); p.sqrt(); p.rsqrt(); x.sin(); x.tanh(); x.sigmoid(); x.erf()
x.square(); p.reciprocal(); torch.maximum(x, y); torch.atan2(x, y); torch.where(b, x, y)
torch.lerp(x, y, 0.3); torch.addcmul(z, x, y); x.clamp(-1, 1); x.clamp(min=0); x.masked_fill(b, 0.0)
torch.pow(p, y); x % 0.7; torch.hypot(x, y); F.relu(x); F.relu6(x); F.leaky_relu(x); F.gelu(x)
F.gelu(x, approximate="tanh"); F.silu(x); F.elu(x); F.softplus(x); F.hardswish(x); F.mish(x); F.logsigmoid(x)
F.glu(x); F.prelu(x, v[:1]); F.dropout(x); F.softmax(x, 1); F.softmax(x, 0); F.log_softmax(x, 1)
x.logsumexp(1); F.normalize(x); F.layer_norm(x, (n,)); x.sum(); x.sum(0); x.sum(1); x.mean(); x.mean((0, 1))
x.var(); x.std(1); x.norm(); x.norm(dim=1); x.max(); x.amax(1); x.max(1)[0]; x.min(0)[0]; x.prod()
x.cumsum(0); x.cumsum(1); x.cumprod(1); x.sort(1)[0]; x.sort(0)[0]; x.topk(2)[0]; x.median(); x.kthvalue(1)[0]
x.view(-1); x.reshape(-1); x.t(); x.t().contiguous(); x.unsqueeze(0); x.flatten(); x.expand(2, n, n)
x.repeat(2, 1); x.clone(); x[0]; x[:, 0]; x[1:]; x[k]; x[i[:, 0], i[:, 1]]; x[b]; x.gather(1, i)
x.index_select(0, k); x.flip(0); x.roll(1, 0); x.scatter(1, i, y); x.scatter_add(1, i, y)
x.index_add(0, k, y); x.triu(); x.diagonal(); x.chunk(2)[0]; x.split(1)[0]; torch.cat([x, y])
torch.cat([x, y], 1); torch.stack([x, y]); F.pad(x, (1, 1)); x.detach() + y; x.to(torch.float64); x.bfloat16()
x @ y; x.t() @ y; x @ y.t(); x @ v; v @ v; torch.addmm(z, x, y); F.linear(x, y, v); torch.outer(v, v)
torch.einsum("ij,jk->ik", x, y); torch.bmm(seq, seq.transpose(1, 2)); torch.cdist(square, square)
F.cosine_similarity(x, y); torch.linalg.inv(spd); torch.linalg.cholesky(spd); torch.linalg.solve(spd, square)
torch.linalg.det(spd); torch.linalg.qr(square)[0]; F.mse_loss(x, y); F.l1_loss(x, y); F.smooth_l1_loss(x, y)
F.huber_loss(x, y); F.kl_div(x, p); F.binary_cross_entropy(p, q); F.binary_cross_entropy_with_logits(x, q)
F.cross_entropy(x, t); F.cross_entropy(x, t, label_smoothing=0.1); F.nll_loss(F.log_softmax(x, 1), t)
F.embedding(t, x); F.batch_norm(x, None, None, v, v, True); F.conv2d(picture, kernel, padding=1)
F.conv2d(picture, kernel, stride=2, padding=1); F.conv2d(picture, pointwise)
F.conv2d(picture, depthwise, padding=1, groups=channels); F.conv_transpose2d(picture, kernel, stride=2)
F.max_pool2d(picture, 2); F.max_pool2d(picture, 3, 1, 1); F.avg_pool2d(picture, 2)
F.adaptive_avg_pool2d(picture, 1); F.batch_norm(picture, None, None, scale, scale, True)
F.group_norm(picture, 2); F.interpolate(picture, scale_factor=2)
F.interpolate(picture, scale_factor=2, mode="bilinear"); F.pad(picture, (1, 1, 1, 1), mode="reflect")
F.unfold(picture, 3); picture.permute(0, 2, 3, 1).contiguous(); picture.mean((2, 3)); picture.sum((0, 2, 3))
picture * scale[:, None, None]; F.conv1d(seq.transpose(1, 2), kernel1); F.layer_norm(seq, (width,))
F.scaled_dot_product_attention(heads, heads, heads); lstm(seq)[0]; gru(seq)[0]; attention(seq, seq, seq)[0]
seq.transpose(0, 1).reshape(-1, width)
"""
FORWARD_ONLY = """
x == y; x > 0; x.eq(y).sum(); ~b; b & b; x.argmax(1); x.argmax(); x.argsort(1); x.isnan().any(); b.nonzero()
b.sum(); k + 1; k * k; i.sum(); i.max(1); x.round(); x.floor(); x.sign(); x.long(); i.float(); (x > 0).float()
torch.unique(t); torch.bincount(t); torch.zeros(n, n); torch.ones(n, n); torch.empty(n, n)
torch.arange(n * n); torch.full((n, n), 2.0); torch.zeros_like(x); torch.eye(n); torch.linspace(0, 1, n * n)
torch.randn(n, n); torch.rand(n, n); torch.randint(0, 9, (n, n)); torch.randperm(n)
torch.rand_like(x).bernoulli_(); F.one_hot(t); torch.allclose(x, x); torch.equal(x, x); x[0, 0].item()
x.tolist(); x.numpy(); z.add_(y); z.mul_(1.0); z.zero_(); z.copy_(y); z.fill_(1.0); z[0] = y[0]; z[:, 0] = 1.0
z[b] = 0.0; z[k] = y; z.clamp_(-1, 1); z.relu_(); z.normal_(); z.uniform_(); z.add_(y, alpha=0.1)
z.addcmul_(x, y); z.index_add_(0, k, y); z.scatter_(1, i, y); torch.histc(x)
torch.searchsorted(v.sort()[0], v); torch.multinomial(p, 1); torch.cumsum(k, 0); x.std(); x.max()
"""


def expressions(text: str, words: list[str]) -> list[str]:
    """The operations in one of the lists above that have one of the words in them, if any are given."""
    every = [e for e in (part.strip() for part in re.split(r";|\n", text)) if e]
    return [e for e in every if not words or any(w in e for w in words)]


def inputs(torch, size: str, grad: bool) -> dict:
    """The tensors that the expressions name."""
    n, square = SIZES[size]["n"], SIZES[size]["square"]
    batch, channels, side = SIZES[size]["picture"]
    sequences, length, width = SIZES[size]["sequence"]
    torch.manual_seed(0)
    matrix = torch.randn(square, square)
    scope = {
        "x": torch.randn(n, n),
        "y": torch.randn(n, n),
        "p": torch.rand(n, n) * 0.8 + 0.1,
        "v": torch.randn(n),
        "picture": torch.randn(batch, channels, side, side),
        "kernel": torch.randn(channels, channels, 3, 3),
        "pointwise": torch.randn(channels, channels, 1, 1),
        "depthwise": torch.randn(channels, 1, 3, 3),
        "scale": torch.rand(channels),
        "seq": torch.randn(sequences, length, width),
        "kernel1": torch.randn(width, width, 3),
        "heads": torch.randn(sequences, 4, length, width // 4),
        "square": matrix,
        "spd": matrix @ matrix.t() / square + torch.eye(square),
    }
    if grad:
        for tensor in scope.values():
            tensor.requires_grad_()
    return scope | {
        "torch": torch,
        "F": torch.nn.functional,
        "n": n,
        "channels": channels,
        "width": width,
        "z": torch.randn(n, n),
        "q": torch.rand(n, n),
        "b": torch.rand(n, n) > 0.5,
        "i": torch.randint(0, n, (n, n)),
        "k": torch.randint(0, n, (n,)),
        "t": torch.randint(0, n, (n,)),
        "lstm": torch.nn.LSTM(width, width, batch_first=True),
        "gru": torch.nn.GRU(width, width, batch_first=True),
        "attention": torch.nn.MultiheadAttention(width, 4, batch_first=True),
    }


def best(statement: str, scope: dict, threads: int) -> float:
    """Microseconds of one execution, the best of some repetitions: of processor time where one thread works."""
    timer = timeit.Timer(
        statement, globals=scope, timer=time.process_time if threads == 1 else time.perf_counter
    )
    timer.timeit(1)
    once = timer.timeit(1)
    number = max(1, min(1000, int(0.008 / once)))
    repetitions = max(1, min(5, int(0.05 / (once * number))))
    return min(once, *(t / number for t in timer.repeat(repetitions, number))) * 1e6


def with_backward(expression: str, scope: dict) -> str:
    """The statement that runs an expression and the backward of it, into gradients that start afresh."""
    words = set(re.findall(r"[A-Za-z_]\w*", expression))
    leaves = [w for w in words if getattr(scope.get(w), "is_leaf", False) and scope[w].requires_grad]
    scope["gradient"] = scope["torch"].ones_like(eval(expression, scope))
    return f"({expression}).backward(gradient); " + "; ".join(
        f"{leaf}.grad = None" for leaf in sorted(leaves)
    )


def measure(framework: str, size: str, threads: int, words: list[str]) -> dict:
    """Microseconds of each operation in this process, or why there are none."""
    torch = importlib.import_module(framework)
    torch.set_num_threads(threads)
    found: dict[str, float | str] = {}

    def add(label: str, expression: str, grad: bool) -> None:
        scope = inputs(torch, size, grad)
        try:
            found[label] = best(with_backward(expression, scope) if grad else expression, scope, threads)
        except Exception as problem:
            found[label] = f"{type(problem).__name__}: {problem}".splitlines()[0]

    for expression in expressions(DIFFERENTIABLE, words):
        add(expression, expression, False)
        add(f"{expression}  backward", expression, True)
    for expression in expressions(FORWARD_ONLY, words):
        add(expression, expression, False)
    return found


def in_process(framework: str, size: str, args: argparse.Namespace) -> dict:
    """What measure() finds in a process of its own."""
    command = [
        sys.executable,
        __file__,
        "--worker",
        framework,
        "--sizes",
        size,
        "--threads",
        str(args.threads),
    ]
    root = str(pathlib.Path(__file__).parents[1])
    environment = os.environ | {
        "OMP_NUM_THREADS": str(args.threads),
        "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]),
    }
    output = subprocess.run(
        [*command, *args.words], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(output.stdout.splitlines()[-1])


def compare(size: str, args: argparse.Namespace) -> tuple[list[dict], list[str]]:
    """Rows with both times and their ratio, and what couldn't be measured."""
    runs: dict[str, list[dict]] = {f: [] for f in FRAMEWORKS}
    for _ in range(args.rounds):
        for framework in FRAMEWORKS:
            runs[framework].append(in_process(framework, size, args))
    rows, problems = [], []
    for label in runs["torch"][0]:
        values = {f: [run[label] for run in runs[f]] for f in FRAMEWORKS}
        failed = [f"{size}: {label}: {f}: {v[0]}" for f, v in values.items() if isinstance(v[0], str)]
        if failed:
            problems += failed
            continue
        ours, theirs = (statistics.median(values[f]) for f in FRAMEWORKS)
        row = {
            "size": size,
            "operation": label,
            "rushlight_us": ours,
            "torch_us": theirs,
            "ratio": theirs / ours,
        }
        rows.append(row)
    return rows, problems


def main() -> None:
    """Measure all sizes and print one table, sorted by the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", help="only operations with one of these in their text")
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--below", type=float, default=math.inf, help="print only ratios below this")
    parser.add_argument("--json", type=pathlib.Path, help="also write all figures to this file")
    parser.add_argument("--worker", choices=FRAMEWORKS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        warnings.simplefilter("ignore")
        print(json.dumps(measure(args.worker, args.sizes[0], args.threads, args.words)))
        return
    start = time.perf_counter()
    rows, problems = [], []
    for size in args.sizes:
        found, failed = compare(size, args)
        rows += found
        problems += failed
    rows.sort(key=lambda row: row["ratio"])
    print("| size | operation | rushlight µs | PyTorch µs | ratio |\n|---|---|---:|---:|---:|")
    for row in rows:
        if row["ratio"] < args.below:
            print(
                f"| {row['size']} | `{row['operation']}` | {row['rushlight_us']:.2f} | {row['torch_us']:.2f} "
                f"| {row['ratio']:.2f}x |"
            )
    print()
    for size in args.sizes:
        ratios = [row["ratio"] for row in rows if row["size"] == size]
        if ratios:
            slower = sum(r < 1 for r in ratios)
            print(
                f"{size}: {statistics.geometric_mean(ratios):.2f}x over {len(ratios)}, {slower} slower than PyTorch"
            )
    print(*problems, f"{time.perf_counter() - start:.0f} s", sep="\n")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
