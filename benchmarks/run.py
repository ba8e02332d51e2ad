"""Compare Rushlight with PyTorch: each workload in alternating processes, as a ratio of medians.

    python benchmarks/run.py                  every workload
    python benchmarks/run.py lenet resnet18   some
    python benchmarks/run.py --rounds 5 --json out/benchmarks.json

These machines are shared, so a single absolute time means nothing: the two frameworks take turns, and what counts
is the ratio of the medians over all rounds.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
FRAMEWORKS = ("rushlight", "torch")


def names() -> list[str]:
    """All workloads, by file name."""
    return sorted(p.stem for p in (HERE / "workloads").glob("*.py") if p.stem != "__init__")


def measure(framework: str, workload: str, threads: int, seconds: float) -> dict:
    """One process: the times, in seconds, and the memory, in MB, of one framework on one workload."""
    command = [sys.executable, str(HERE / "worker.py"), framework, workload]
    command += ["--threads", str(threads), "--seconds", str(seconds)]
    path = os.pathsep.join([str(HERE.parent), str(HERE), os.environ.get("PYTHONPATH", "")])
    environment = dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS=str(threads))
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{framework} failed on {workload}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(workload: str, rounds: int, threads: int, seconds: float) -> dict:
    """Both frameworks in turns; medians over all steps of all rounds."""
    times: dict[str, list[float]] = {f: [] for f in FRAMEWORKS}
    memory: dict[str, list[float]] = {f: [] for f in FRAMEWORKS}
    for _ in range(rounds):
        for framework in FRAMEWORKS:
            found = measure(framework, workload, threads, seconds)
            times[framework] += found["times"]
            memory[framework].append(found["growth_mb"])
    ours, theirs = (statistics.median(times[f]) * 1000 for f in FRAMEWORKS)
    return {
        "workload": workload,
        "rushlight_ms": ours,
        "torch_ms": theirs,
        "ratio": theirs / ours,
        "rushlight_mb": max(memory["rushlight"]),
        "torch_mb": max(memory["torch"]),
    }


def main() -> None:
    """Run the comparison and print it as a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", help=f"some of: {', '.join(names())}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2.0, help="timed seconds per process")
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures to this file")
    args = parser.parse_args()
    print("| workload | rushlight ms | PyTorch ms | ratio | rushlight MB | PyTorch MB |")
    print("|---|---:|---:|---:|---:|---:|")
    rows = []
    for workload in args.workloads or names():
        row = compare(workload, args.rounds, args.threads, args.seconds)
        rows.append(row)
        print(
            f"| {workload} | {row['rushlight_ms']:.3f} | {row['torch_ms']:.3f} | **{row['ratio']:.2f}x** "
            f"| {row['rushlight_mb']:.0f} | {row['torch_mb']:.0f} |",
            flush=True,
        )
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
