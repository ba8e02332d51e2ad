"""The command line: `rushlight train DATA --model NAME`, and what goes with it."""

#: What each command does, in the order of `rushlight --help`.
COMMANDS = {
    "train": "train a model on pictures or on a table",
    "predict": "what a trained model says about new pictures or rows",
    "evaluate": "the figures of a trained model, and what it takes for what",
    "lr-find": "look for a learning rate",
    "tune": "search for settings",
    "summary": "the layers of a model: shapes, parameters, operations, memory",
    "check": "which names of PyTorch a script uses that are not here",
    "info": "versions, processor, threads, kernels, memory",
}


def main(arguments: list[str]) -> int:
    """Run a command.

    Args:
        arguments: its name and its arguments.
    Returns:
        The exit status: 0, 1 where `check` finds something or a run fails, 2 for wrong arguments or data, 130 after Ctrl-C.
    """
    from rushlight.cli.commands import run

    return run(arguments)
