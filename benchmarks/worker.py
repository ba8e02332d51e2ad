"""Time one workload run in one way, in this process, and print the figures as JSON."""

import argparse
import gc
import importlib
import importlib.util
import json
import os
import resource
import sys
import time

from training import Options


def peak_mb() -> float:
    """The largest resident size of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def limit_processors(threads: int) -> None:
    """Keep this process on as many processors as it may have threads, which every framework's pool goes by."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def load(way: str, workload: str, threads: int):
    """The framework, ready to be used, and the module with the workload's `build`."""
    name, _, compiled = way.partition(".")
    Options.compiled = bool(compiled)
    framework = importlib.import_module(name)
    if name == "jax":
        if importlib.util.find_spec(f"jax_workloads.{workload}") is None:
            sys.exit("no JAX version of this workload")
        framework.numpy.zeros(1).block_until_ready()  # starts its threads
        return framework, importlib.import_module(f"jax_workloads.{workload}")
    framework.set_num_threads(threads)
    framework.manual_seed(0)
    module = importlib.import_module(f"workloads.{workload}")
    if not getattr(module, "AVAILABLE", True):
        sys.exit("its data is absent")
    return framework, module


def main() -> None:
    """Build the workload, warm it up, and time steps until `--seconds` are over."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", help="rushlight, torch, jax, or one of the first two with .compile after it")
    parser.add_argument("workload")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--processor-time", action="store_true")
    args = parser.parse_args()

    limit_processors(args.threads)
    framework, module = load(args.way, args.workload, args.threads)
    imported = peak_mb()
    step = module.build(framework)
    result = step()
    begin = time.perf_counter()
    for _ in range(3):
        if time.perf_counter() < begin + args.seconds:
            result = step()
    gc.collect()
    times = []
    clock = time.process_time if args.processor_time else time.perf_counter
    end = time.perf_counter() + args.seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = clock()
        result = step()
        times.append(clock() - start)
    peak = peak_mb()
    figures = {"times": times, "peak_mb": peak, "growth_mb": peak - imported, "result": float(result)}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
