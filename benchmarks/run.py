"""Compare Rushlight with PyTorch and others: each workload in alternating processes, as ratios of medians.

    python benchmarks/run.py                                        every workload, beside PyTorch
    python benchmarks/run.py lenet resnet18 --against torch torch.compile jax
    python benchmarks/run.py --base rushlight.compile --rounds 5 --json out/benchmarks.json

These machines are shared, so a single absolute time means nothing: the ways of running a workload take turns, and what
counts is the ratio of the medians over all rounds. Warming up, and compiling with it, is not timed.

Memory is the largest resident size of a process: first what it grew by after the import of the framework, which is
what the workload itself takes (with what its compiler takes, where there is one), then all of it.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
WAYS = ("rushlight", "rushlight.compile", "torch", "torch.compile", "jax")


def names() -> list[str]:
    """All workloads, by file name."""
    return sorted(p.stem for p in (HERE / "workloads").glob("*.py") if p.stem != "__init__")


def measure(way: str, workload: str, args: argparse.Namespace) -> dict:
    """One process: the times, in seconds, and the memory, in MB, of one way; or the error that ended it."""
    command = [sys.executable, str(HERE / "worker.py"), way, workload]
    command += ["--threads", str(args.threads), "--seconds", str(args.seconds)]
    command += ["--processor-time"] * args.processor_time
    path = os.pathsep.join([str(HERE.parent), str(HERE), os.environ.get("PYTHONPATH", "")])
    # XLA takes the size of its thread pool from PJRT_NPROC.
    environment = os.environ | {
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": str(args.threads),
        "PJRT_NPROC": str(args.threads),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def compare(workload: str, ways: list[str], args: argparse.Namespace) -> dict[str, dict]:
    """All ways in turns: median time over all steps of all rounds and largest memory of each, or its error."""
    runs: dict[str, list[dict]] = {way: [] for way in ways}
    for _ in range(args.rounds):
        for way in ways:
            if not any("error" in run for run in runs[way]):
                runs[way].append(measure(way, workload, args))
    found = {}
    for way in ways:
        if "error" in runs[way][-1]:
            found[way] = runs[way][-1]
            continue
        found[way] = {
            "ms": statistics.median(t for run in runs[way] for t in run["times"]) * 1000,
            "growth_mb": max(run["growth_mb"] for run in runs[way]),
            "peak_mb": max(run["peak_mb"] for run in runs[way]),
        }
    return found


def ratio(found: dict[str, dict], base: str, way: str, field: str = "ms") -> float | None:
    """How many times as much a way takes as the base; None where one of them failed."""
    if "error" in found[base] or "error" in found[way]:
        return None
    return found[way][field] / max(found[base][field], 0.1 if field.endswith("mb") else 1e-9)


def table_row(workload: str, found: dict[str, dict], base: str) -> str:
    """One line of the table: times with their ratios to the base's, then memory."""
    cells = [workload]
    for way, figures in found.items():
        cells.append("-" if "error" in figures else f"{figures['ms']:.3f}")
        if way != base:
            value = ratio(found, base, way)
            cells.append("-" if value is None else f"**{value:.2f}x**")
    cells += [
        "-" if "error" in figures else f"{figures['growth_mb']:.0f} / {figures['peak_mb']:.0f}"
        for figures in found.values()
    ]
    return f"| {' | '.join(cells)} |"


def means(results: dict[str, dict], base: str, ways: list[str]) -> dict[str, dict]:
    """For each other way the geometric means of its time over the base's, and of the base's memory over its."""
    found = {}
    for way in ways:
        fields = {}
        for field in ("ms", "growth_mb", "peak_mb"):
            ratios = [r for row in results.values() if (r := ratio(row, base, way, field))]
            if ratios:
                mean = statistics.geometric_mean(ratios)
                fields[field] = mean if field == "ms" else 1 / mean
                fields["workloads"] = len(ratios)
        if fields:
            found[way] = fields
    return found


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The options that measure() takes."""
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2.0, help="timed seconds per process")
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="time of the processor instead of the clock's: for one thread on a busy machine",
    )


def main() -> None:
    """Run the comparison and print it as a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", help=f"some of: {', '.join(names())}")
    add_settings(parser)
    parser.add_argument("--base", choices=WAYS, default="rushlight", help="what is compared")
    parser.add_argument("--against", nargs="+", choices=WAYS, default=["torch"], help="with what")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures to this file")
    args = parser.parse_args()
    unknown = set(args.workloads) - set(names())
    if unknown:
        parser.error(f"no such workloads: {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    ways = [args.base] + [way for way in args.against if way != args.base]
    heads = ["workload", f"{args.base} ms"]
    heads += [head for way in ways[1:] for head in (f"{way} ms", "ratio")] + [f"{way} MB" for way in ways]
    print(f"| {' | '.join(heads)} |\n|---|{'---:|' * (len(heads) - 1)}")
    results = {}
    for workload in args.workloads or names():
        results[workload] = compare(workload, ways, args)
        print(table_row(workload, results[workload], args.base), flush=True)
    print(
        f"\nMB: peak growth after import / peak. {args.threads} threads, {args.rounds} rounds. Geometric means:"
    )
    found = means(results, args.base, ways[1:])
    for way, mean in found.items():
        print(
            f"- {args.base} against {way} on {mean['workloads']} workloads: {mean['ms']:.2f}x as fast, "
            f"{mean['growth_mb']:.2f}x the growth, {mean['peak_mb']:.2f}x the peak"
        )
    for workload, row in results.items():
        for way, figures in row.items():
            if "error" in figures:
                print(f"- {workload}, {way}: {figures['error']}")
    if args.json:
        report = {"base": args.base, "threads": args.threads, "workloads": results, "means": found}
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
