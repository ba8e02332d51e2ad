"""Start a script in several processes: `python -m rushlight.distributed.run --nproc-per-node=2 train.py …`.

Each process runs `python -m rushlight train.py …`, so that `import torch` gives Rushlight, and finds RANK, LOCAL_RANK,
WORLD_SIZE, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT in its environment. When one fails, the others are ended.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import uuid


def get_args_parser() -> argparse.ArgumentParser:
    """The command line, with the options of PyTorch's `torchrun`."""
    parser = argparse.ArgumentParser(
        prog="rushlight.distributed.run", description="Start a script in several processes."
    )

    def option(*names, **settings):
        spellings = [n for name in names for n in (name, "--" + name[2:].replace("-", "_"))]
        parser.add_argument(*dict.fromkeys(spellings), **settings)

    option("--nproc-per-node", default="1", help="processes on this machine, or cpu for one per processor")
    option("--nnodes", default="1", help="machines")
    option("--node-rank", type=int, default=0, help="which machine this is")
    option("--master-addr", default="127.0.0.1", help="the address of machine 0")
    option("--master-port", type=int, default=None, help="a free port of machine 0; 29500 by default")
    option("--standalone", action="store_true", help="one machine, with any free port")
    option("--rdzv-endpoint", default="", help="host:port, in place of --master-addr and --master-port")
    option("--rdzv-backend", default="static", help="accepted, without effect")
    option("--rdzv-id", default=None, help="the name of the run")
    option(
        "--max-restarts", type=int, default=0, help="start all processes again so many times when one fails"
    )
    parser.add_argument("-m", "--module", action="store_true", help="the script is a module")
    option("--no-python", action="store_true", help="the script is a program")
    parser.add_argument("training_script", help="what to run")
    parser.add_argument("training_script_args", nargs=argparse.REMAINDER, help="its arguments")
    return parser


def _processes(text: str) -> int:
    if text in ("auto", "cpu"):
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not text.isdigit():
        raise SystemExit(f"--nproc-per-node: expected a number, cpu or auto, got {text!r}; there are no GPUs")
    return int(text)


def _address(args: argparse.Namespace) -> tuple[str, int]:
    if args.rdzv_endpoint and not args.standalone:
        host, _, port = args.rdzv_endpoint.partition(":")
        return host or "127.0.0.1", int(port or 29500)
    if args.standalone or (args.master_port is None and args.nnodes == "1"):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return "127.0.0.1", free.getsockname()[1]
    return args.master_addr, args.master_port or 29500


def _command(args: argparse.Namespace) -> list[str]:
    script = [args.training_script, *args.training_script_args]
    if args.no_python:
        return script
    return [sys.executable, "-u", "-m", "rushlight", *(["-m"] if args.module else []), *script]


def _start(args: argparse.Namespace, restart: int) -> list[subprocess.Popen]:
    local, nodes = _processes(args.nproc_per_node), int(args.nnodes.rpartition(":")[2])
    host, port = _address(args)
    common = {
        "MASTER_ADDR": host, "MASTER_PORT": port, "WORLD_SIZE": local * nodes, "LOCAL_WORLD_SIZE": local,
        "GROUP_RANK": args.node_rank, "GROUP_WORLD_SIZE": nodes, "TORCHELASTIC_RUN_ID": args.rdzv_id or uuid.uuid4(),
        "TORCHELASTIC_RESTART_COUNT": restart, "TORCHELASTIC_MAX_RESTARTS": args.max_restarts,
    }  # fmt: skip
    if local > 1 and "OMP_NUM_THREADS" not in os.environ:
        common["OMP_NUM_THREADS"] = 1  # or the processes would take the processors from one another
    started = []
    for i in range(local):
        own = {"RANK": args.node_rank * local + i, "LOCAL_RANK": i}
        values = {name: str(value) for name, value in {**common, **own}.items()}
        started.append(subprocess.Popen(_command(args), env={**os.environ, **values}))
    return started


def _wait(processes: list[subprocess.Popen]) -> int:
    """Wait for all, or for the first that fails, whose exit code this returns."""
    try:
        while True:
            codes = [p.poll() for p in processes]
            for rank, code in enumerate(codes):
                if code:
                    print(
                        f"rushlight.distributed.run: process {rank} (pid {processes[rank].pid}) failed with exit "
                        f"code {code}; ending the others",
                        file=sys.stderr,
                    )
                    return code
            if all(code == 0 for code in codes):
                return 0
            time.sleep(0.05)
    finally:
        _end(processes)


def _end(processes: list[subprocess.Popen]) -> None:
    for p in processes:
        if p.poll() is None:
            p.terminate()
    for p in processes:
        try:
            p.wait(10)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()


def run(args: argparse.Namespace) -> int:
    """Start what the arguments say, and wait for it; returns the exit code."""
    for restart in range(args.max_restarts + 1):
        code = _wait(_start(args, restart))
        if code == 0:
            break
    return code


def main(args: list[str] | None = None) -> None:
    """The program."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes are ended too
    code = run(get_args_parser().parse_args(args))
    if code:
        sys.exit(code if code > 0 else 128 - code)


if __name__ == "__main__":
    main()
