"""`vmap` and the transforms of `torch.func` beside PyTorch's: `python -m benchmarks.batching [rushlight|torch]`.

One thread. Without a name both frameworks are run in turn, each in a process of its own, several times, and the
best time of each is shown in milliseconds.
"""

import json
import os
import subprocess
import sys
import time

ROUNDS, SECONDS = 3, 0.4


def cases(L) -> dict:
    """The functions that are timed, by name."""
    nn, F = L.nn, L.nn.functional
    L.manual_seed(0)
    mlp = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    cnn = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 49, 10),
    )  # fmt: skip
    small = nn.Sequential(nn.Linear(20, 32), nn.Tanh(), nn.Linear(32, 10))
    ensemble = [nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)) for _ in range(10)]
    stacked, buffers = L.func.stack_module_state(ensemble)
    x, images, labels = L.randn(64, 64), L.randn(64, 1, 28, 28), L.randint(0, 10, (64,))
    point, rows, others = L.randn(20), L.randn(256, 64), L.randn(256, 64)

    def per_sample(model, batch):
        parameters = {name: p.detach() for name, p in model.named_parameters()}

        def loss(parameters, sample, label):
            out = L.func.functional_call(model, parameters, (sample.unsqueeze(0),))
            return F.cross_entropy(out, label.unsqueeze(0))

        run = L.func.vmap(L.func.grad(loss), in_dims=(None, 0, 0))
        return lambda: run(parameters, batch, labels)

    def member(parameters, buffers, batch):
        return L.func.functional_call(ensemble[0], (parameters, buffers), (batch,))

    run_members = L.func.vmap(member, in_dims=(0, 0, None))
    run_dots = L.vmap(L.dot)
    jacobian, forward = L.func.jacrev(small), L.func.jacfwd(small)
    second = L.func.hessian(lambda v: small(v).square().sum())
    return {
        "per-sample gradients, MLP": per_sample(mlp, x),
        "per-sample gradients, CNN": per_sample(cnn, images),
        "ensemble of 10 MLPs": lambda: run_members(stacked, buffers, x),
        "ensemble of 10 MLPs, training": lambda: run_members(stacked, buffers, x).square().mean().backward(),
        "jacrev of an MLP": lambda: jacobian(point),
        "jacfwd of an MLP": lambda: forward(point),
        "hessian of an MLP": lambda: second(point),
        "256 dot products": lambda: run_dots(rows, others),
    }


def measure(framework: str) -> dict:
    """The best time of each case, in seconds."""
    if framework == "torch":
        import torch as L

        L.set_num_threads(1)
    else:
        import rushlight as L
    found = {}
    for name, run in cases(L).items():
        run()
        best, until = float("inf"), time.perf_counter() + SECONDS
        while time.perf_counter() < until:
            start = time.process_time()
            run()
            best = min(best, time.process_time() - start)
        found[name] = best
    return found


def main() -> None:
    """Print the table, or the figures of one framework."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
        return
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    best: dict = {"rushlight": {}, "torch": {}}
    for _ in range(ROUNDS):
        for framework, times in best.items():
            command = [sys.executable, "-W", "ignore", "-m", "benchmarks.batching", framework]
            out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
            for name, seconds in json.loads(out.splitlines()[-1]).items():
                times[name] = min(seconds, times.get(name, seconds))
    print(f"{'milliseconds':32} {'Rushlight':>10} {'PyTorch':>10} {'ratio':>7}")
    for name, ours in best["rushlight"].items():
        theirs = best["torch"][name]
        print(f"{name:32} {ours * 1e3:10.2f} {theirs * 1e3:10.2f} {ours / theirs:7.2f}")


if __name__ == "__main__":
    main()
