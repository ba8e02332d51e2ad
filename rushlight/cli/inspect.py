"""`rushlight summary` and `rushlight info`."""

import argparse
import os

from rushlight.cli import models
from rushlight.cli.errors import CommandError
from rushlight.cli.runs import Run, build_net
from rushlight.utils import collect_env
from rushlight.utils.summary import summary


def summarize(flags) -> int:
    """Print the layers of a model, or of a run's; returns the exit status."""
    if flags.list:
        print("\n".join(models.names()))
        return 0
    if not flags.model:
        raise CommandError("MODEL is missing: a name (--list shows all) or the folder of a run")
    if os.path.isdir(flags.model):
        run = Run(flags.model)
        settings, described = run.settings(), run.described()
        net = build_net(settings, described)
        shape = _shape_of(described)
    else:
        name = models.check_name(flags.model)
        shape = flags.input_size or _usual(name)
        settings = argparse.Namespace(hidden=flags.hidden, dropout=None, model_arg={})
        net = models.build(name, tuple(shape), flags.classes, settings)
    summary(net, (flags.batch, *shape), depth=flags.depth)
    return 0


def _shape_of(described: dict) -> tuple:
    from rushlight.cli.tables import width

    if described["kind"] == "table":
        return (width(described),)
    return described["channels"], described["size"], described["size"]


def _usual(name: str) -> tuple:
    size, channels = models.wanted_input(name, "folder")
    return channels or (1 if name in ("lenet5", "highway", "mlp", "linear") else 3), 28 if name == "highway" else size, \
        28 if name == "highway" else size  # fmt: skip


def info(flags) -> int:
    """Print versions, processor, threads, kernels and memory; returns the exit status."""
    collect_env.main()
    return 0
