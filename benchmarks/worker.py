"""Time one workload under one framework, in this process, and print the figures as JSON."""

import argparse
import gc
import importlib
import json
import resource
import time


def peak_mb() -> float:
    """The largest resident size of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Build the workload, warm it up, and time steps until `--seconds` are over."""
    parser = argparse.ArgumentParser()
    parser.add_argument("framework", choices=["rushlight", "torch"])
    parser.add_argument("workload")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2.0)
    args = parser.parse_args()

    framework = importlib.import_module(args.framework)
    framework.set_num_threads(args.threads)
    framework.manual_seed(0)
    imported = peak_mb()
    step = importlib.import_module(f"workloads.{args.workload}").build(framework)
    result = None
    for _ in range(3):
        result = step()
    gc.collect()
    times = []
    end = time.perf_counter() + args.seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        result = step()
        times.append(time.perf_counter() - start)
    print(
        json.dumps(
            {"times": times, "peak_mb": peak_mb(), "growth_mb": peak_mb() - imported, "result": float(result)}
        )
    )


if __name__ == "__main__":
    main()
