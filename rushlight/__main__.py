"""`python -m rushlight script.py …`: run a PyTorch script on Rushlight, unchanged.

Usage:
    python -m rushlight script.py [arguments]
    python -m rushlight -m module [arguments]
    python -m rushlight -c "commands" [arguments]
    python -m rushlight --check script.py
    python -m rushlight train DATA --model NAME [settings]

Inside, `import torch` and its submodules give Rushlight. Everything else is as `python`
would have it: arguments, `__main__`, the import path, exit codes, tracebacks.
`rushlight` is the same as `python -m rushlight`, and `rushlight run script.py` as `rushlight script.py`.
A script that is named like a command is run by its path: `python -m rushlight ./train`.

Commands, each with `--help`:
"""

import builtins
import difflib
import os
import runpy
import signal
import sys
import types
from importlib.machinery import SourceFileLoader

from rushlight import cli


def main(arguments: list[str] | None = None) -> None:
    """Run what the arguments name.

    Args:
        arguments: the command line after `python -m rushlight`; that of this process by default.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["--check"]:
        arguments = ["check", *arguments[1:]]
    if arguments and arguments[0] in cli.COMMANDS:
        sys.exit(cli.main(arguments))
    if arguments[:1] == ["run"]:
        arguments = arguments[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__.strip(), *(f"    {name:<10}{text}" for name, text in cli.COMMANDS.items()), sep="\n")
        sys.exit(0 if arguments else 2)
    import rushlight
    import rushlight.as_torch

    if arguments[0] in ("-V", "--version"):
        print(f"rushlight {rushlight.version.__version__}")
        return
    if arguments[0].startswith("-") and arguments[0] not in ("-m", "-c") and not os.path.exists(arguments[0]):
        print(f"rushlight: unknown argument {arguments[0]} (rushlight --help)", file=sys.stderr)
        sys.exit(2)
    if arguments[0] in ("-m", "-c") and len(arguments) == 1:
        sys.exit(f"Argument expected for the {arguments[0]} option")
    if arguments[0] == "-m":
        _set_path(os.getcwd())
        sys.argv = arguments[1:]
        _as_python(lambda: runpy.run_module(arguments[1], run_name="__main__", alter_sys=True))
    elif arguments[0] == "-c":
        _set_path("")
        sys.argv = ["-c", *arguments[2:]]
        _run_source(arguments[1], "<string>")
    else:
        _run_script(arguments)


def _run_script(arguments: list[str]) -> None:
    script = arguments[0]
    sys.argv = arguments
    if os.path.isdir(script) or script.endswith((".pyz", ".zip")):
        sys.path.pop(0)
        _as_python(lambda: runpy.run_path(script, run_name="__main__"))
        return
    _set_path(os.path.dirname(os.path.realpath(script)))
    try:
        with open(script, "rb") as file:
            source = file.read()
    except OSError as error:
        near = difflib.get_close_matches(script, cli.COMMANDS, 1)
        print(
            f"{sys.executable}: can't open file {os.path.abspath(script)!r}: [Errno {error.errno}] "
            f"{error.strerror}{f'; is the command {near[0]!r} meant?' if near else ''}",
            file=sys.stderr,
        )
        sys.exit(2)
    _run_source(source, script)


def _set_path(first: str) -> None:
    """Put a script's own folder where `python` would, in place of where this module was found from."""
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = first


def _run_source(source, name: str) -> None:
    """Run source code as the main module."""
    module = types.ModuleType("__main__")
    module.__dict__.update(__builtins__=builtins, __annotations__={})
    if not name.startswith("<"):
        name = module.__file__ = os.path.abspath(name)
        module.__cached__ = None
        module.__loader__ = SourceFileLoader("__main__", name)
    sys.modules["__main__"] = module
    _as_python(lambda: exec(compile(source, name, "exec", dont_inherit=True), module.__dict__))


def _as_python(run) -> None:
    """Run a program; an exception ends this process with the traceback and exit code that `python` would
    give."""
    try:
        run()
    except Exception as error:
        _report(error)
        sys.exit(1)
    except KeyboardInterrupt as error:
        _report(error)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)


def _report(error: BaseException) -> None:
    """Print the traceback, from the program's first frame on."""
    frame = error.__traceback__
    hidden = (__file__, runpy.__file__)
    while frame is not None and (
        frame.tb_frame.f_code.co_filename in hidden
        or frame.tb_frame.f_code.co_filename.startswith("<frozen runpy")
    ):
        frame = frame.tb_next
    error.__traceback__ = frame
    sys.excepthook(type(error), error, frame)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue


if __name__ == "__main__":
    main()
