"""Curves in a Visdom server."""

import importlib.util
import time

from rushlight.lightning.loggers.logger import Logger, plain


class VisdomLogger(Logger):
    """Show metrics as curves in a running Visdom server.

    Args:
        env: the environment in Visdom.
        server, port: where it runs.
        prefix: before every name.
        **kwargs: further arguments of `visdom.Visdom`.
    Raises:
        ModuleNotFoundError: visdom is not installed.
    """

    def __init__(
        self,
        env: str = "main",
        server: str = "http://localhost",
        port: int = 8097,
        prefix: str = "",
        **kwargs,
    ):
        if importlib.util.find_spec("visdom") is None:
            raise ModuleNotFoundError("VisdomLogger needs visdom: pip install visdom")
        self._options = {"env": env, "server": server, "port": port, **kwargs}
        self._prefix = prefix
        self._experiment = None

    name = property(lambda self: self._options["env"], doc="The environment.")
    version = property(lambda self: None, doc="None: curves go on.")

    @property
    def experiment(self):
        """The client.

        Raises:
            ConnectionError: no server answers.
        """
        if self._experiment is None:
            import visdom

            client = visdom.Visdom(**self._options)
            if not any(client.check_connection() or time.sleep(0.1) for _ in range(30)):
                where = f"{self._options['server']}:{self._options['port']}"
                raise ConnectionError(
                    f"VisdomLogger: no server answers at {where}; python -m visdom.server starts one"
                )
            self._experiment = client
        return self._experiment

    def log_metrics(self, metrics: dict, step: int | None = None) -> None:
        """A point for each curve."""
        for key, value in metrics.items():
            name = f"{self._prefix}-{key}" if self._prefix else key
            self.experiment.line(
                Y=[value], X=[step or 0], win=name, update="append", opts={"title": name, "xlabel": "step"}
            )

    def log_hyperparams(self, params, *args, **kwargs) -> None:
        """A window with them."""
        rows = "".join(f"<tr><td>{key}</td><td>{value}</td></tr>" for key, value in plain(params).items())
        self.experiment.text(f"<table>{rows}</table>", win="hyperparameters")
