"""Search for hyper-parameters, on Optuna: by grid, by chance, or by the tree-structured Parzen estimator (TPE)."""

import csv
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from math import prod

from rushlight.tune.space import Choice, Int, as_space

__all__ = ["Pruned", "Search", "Trial", "search"]

_METHODS = ("tpe", "random", "grid")


def _optuna():
    try:
        import optuna
    except ImportError:
        raise ModuleNotFoundError(
            "rushlight.tune needs Optuna, which is not installed: pip install 'rushlight[tune]'"
        ) from None
    return optuna


class Pruned(Exception):
    """A trial was given up because it did worse than others; raised by `Trial.report`, and handled by `search`."""


class Trial(Mapping):
    """One set of hyper-parameters to try: a mapping of names to values.

    Attributes: `number`, counted from 0; `params`, the values as a dictionary.
    """

    def __init__(self, inner, params: dict):
        self._inner, self.params, self.number = inner, params, inner.number

    def __getitem__(self, name: str):
        return self.params[name]

    def __iter__(self):
        return iter(self.params)

    def __len__(self) -> int:
        return len(self.params)

    def report(self, value: float, step: int) -> None:
        """Tell how it goes, after each epoch say.

        Raises:
            Pruned: others were better at this step; let it pass through.
        """
        self._inner.report(float(value), step)
        if self._inner.should_prune():
            raise Pruned


class Search:
    """What was tried, and what was best.

    Attributes: `best_params`, `best_value`, `study` (Optuna's).
    """

    def __init__(self, study, space: dict):
        self.study, self._space = study, space

    @property
    def best_value(self) -> float:
        """The value of the best trial.

        Raises:
            ValueError: no trial was completed.
        """
        return self.study.best_value

    @property
    def best_params(self) -> dict:
        """The hyper-parameters of the best trial."""
        return self._values(self.study.best_trial)

    def _values(self, trial) -> dict:
        return {name: _chosen(self._space[name], value) for name, value in trial.params.items()}

    def table(self) -> list[dict]:
        """A row for each trial: its number, state, value, seconds, hyper-parameters, and error if it failed; the best first."""
        sign = -1 if self.study.direction.name == "MAXIMIZE" else 1
        trials = sorted(
            self.study.trials, key=lambda t: (t.state.name != "COMPLETE", sign * (t.value or 0), t.number)
        )
        return [
            {
                "number": t.number,
                "state": t.state.name.lower(),
                "value": t.value,
                "seconds": round(t.duration.total_seconds(), 3) if t.duration else None,
                **self._values(t),
                **t.user_attrs,
            }
            for t in trials
        ]

    def save(self, path) -> None:
        """Write the table as a CSV file, whole or not at all."""
        rows = self.table()
        names = list(dict.fromkeys(name for row in rows for name in row))
        temporary = f"{path}.{os.getpid()}.tmp"
        with open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
        os.replace(temporary, path)

    def figure(self):
        """A matplotlib figure: values in the order of trials, and against each hyper-parameter; the best has a star."""
        from matplotlib.figure import Figure

        done = [t for t in self.study.trials if t.value is not None]
        names = list(self._space)
        figure = Figure(figsize=(3.2 * (len(names) + 1), 3), layout="constrained")
        axes = figure.subplots(1, len(names) + 1, sharey=True, squeeze=False)[0]
        best = done.index(self.study.best_trial) if done else None
        star = {
            "marker": "*",
            "markersize": 13,
            "color": "tab:red",
            "markeredgecolor": "white",
            "linestyle": "",
        }

        def points(ax, places):
            ax.plot(places, [t.value for t in done], "o", alpha=0.6)
            if best is not None:
                ax.plot(places[best], done[best].value, **star)
            ax.grid(alpha=0.3)

        points(axes[0], [t.number for t in done])
        axes[0].xaxis.get_major_locator().set_params(integer=True)
        axes[0].set(xlabel="trial", ylabel="value")
        for name, ax in zip(names, axes[1:], strict=True):
            space = self._space[name]
            values = [self._values(t)[name] for t in done]
            if isinstance(space, Choice):
                labels = [str(v) for v in space.options]
                ax.set_xticks(range(len(labels)), labels)
                ax.set_xlim(-0.5, len(labels) - 0.5)
                values = [labels.index(str(v)) for v in values]
            elif space.log:
                ax.set_xscale("log")
            elif isinstance(space, Int):
                ax.xaxis.get_major_locator().set_params(integer=True)
            points(ax, values)
            ax.set_xlabel(name)
        return figure

    def __repr__(self) -> str:
        done = sum(t.state.name == "COMPLETE" for t in self.study.trials)
        best = f", best {self.best_value:.6g} with {self.best_params}" if done else ""
        return f"Search({done} of {len(self.study.trials)} trials completed{best})"


def _chosen(space, value):
    """The value of a hyper-parameter from what Optuna keeps of it."""
    return space.options[value] if isinstance(space, Choice) and not space.plain else value


def _sampler(method: str, space: dict, seed: int | None):
    samplers = _optuna().samplers
    if method == "random":
        return samplers.RandomSampler(seed=seed)
    if method == "tpe":
        return samplers.TPESampler(seed=seed)
    grid = {}
    for name, one in space.items():
        try:
            grid[name] = one.values()
        except ValueError as error:
            raise ValueError(f"search: {name}: {error}") from None
        if isinstance(one, Choice) and not one.plain:
            grid[name] = list(range(len(one.options)))
    return samplers.GridSampler(grid, seed=seed)


def _objective(function: Callable, space: dict, catch: tuple):
    pruned = _optuna().TrialPruned

    def objective(inner):
        trial = Trial(inner, {name: one.suggest(inner, name) for name, one in space.items()})
        try:
            value = float(function(trial))
        except Pruned:
            raise pruned from None
        except catch as error:
            inner.set_user_attr("error", " ".join(str(error).split()) or type(error).__name__)
            raise
        if value != value:  # which fails the trial
            inner.set_user_attr("error", "the value is nan")
        return value

    return objective


def _work(
    storage: str,
    name: str,
    function,
    space: dict,
    method: str,
    seed,
    pruner,
    trials: int,
    timeout,
    catch: tuple,
) -> None:
    """One process of several: its share of the trials of a study."""
    optuna = _optuna()
    study = optuna.load_study(
        study_name=name, storage=_opened(storage), sampler=_sampler(method, space, seed), pruner=pruner
    )
    try:
        _optimize(study, _objective(function, space, catch), trials, timeout, catch)
    except KeyboardInterrupt:  # the first process says so
        sys.exit(130)


def _optimize(study, objective, trials: int, timeout, catch: tuple) -> None:
    exhausted = getattr(study.sampler, "is_exhausted", None)
    if exhausted is None or not exhausted(study):  # else a grid would begin again
        study.optimize(objective, trials, timeout=timeout, catch=catch)


def _opened(storage: str | None):
    """A database as Optuna names it, or a file to which processes append."""
    if storage is None or "://" in storage:
        return storage
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(storage))


def search(
    objective: Callable,
    space: dict,
    *,
    method: str = "tpe",
    trials: int | None = None,
    direction: str = "minimize",
    pruning: bool = False,
    seed: int | None = None,
    storage: str | None = None,
    name: str = "search",
    processes: int = 1,
    timeout: float | None = None,
    catch: tuple[type[Exception], ...] = (),
) -> Search:
    """Try sets of hyper-parameters, and find the best.

    Args:
        objective: called with a `Trial`, returns the value to be made small (or large). It may report on the way.
        space: what each hyper-parameter may be: `Float`, `Int`, `Choice`, a list of values, or (bounds, mode).
        method: "tpe" learns from earlier trials, "random" draws, "grid" tries everything.
        trials: how many; 20 by default, and all of a grid.
        direction: "minimize" or "maximize".
        pruning: give trials up whose reports are worse than the median of others.
        seed: for the same trials again.
        storage: a file or an Optuna database ("sqlite:///file") that keeps the study: a search under the same name goes on.
        name: the study's name in the storage.
        processes: how many work at the same time, each with one thread.
        timeout: seconds after which no trial is begun.
        catch: exceptions that fail a trial, not the search; the table tells them.
    Returns:
        A `Search`.
    Raises:
        ValueError: an argument is wrong. ModuleNotFoundError: Optuna is absent.

    Source: J. Bergstra et al., "Algorithms for hyper-parameter optimization", NIPS 2011; T. Akiba et al., "Optuna", KDD 2019.

    >>> from rushlight.tune import Float, search
    >>> found = search(lambda trial: (trial["x"] - 2) ** 2, {"x": Float(0, 4, step=1)}, method="grid")
    >>> found.best_params
    {'x': 2.0}
    """
    if method not in _METHODS:
        raise ValueError(f"search: method must be one of {', '.join(_METHODS)}, got {method!r}")
    if direction not in ("minimize", "maximize"):
        raise ValueError(f"search: direction must be 'minimize' or 'maximize', got {direction!r}")
    for what, count in (("processes", processes), ("trials", trials)):
        if count is not None and count < 1:
            raise ValueError(f"search: {what} must be at least 1, got {count}")
    optuna = _optuna()
    spaces = {key: as_space(f"search: {key}", given) for key, given in space.items()}
    sampler = _sampler(method, spaces, seed)
    if trials is None:
        trials = prod(len(one.values()) for one in spaces.values()) if method == "grid" else 20
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3) if pruning else optuna.pruners.NopPruner()
    with _quiet(optuna), tempfile.TemporaryDirectory() as folder:
        if processes > 1 and storage is None:
            kept = os.path.join(folder, "study.journal")
        else:
            kept = storage
        study = optuna.create_study(
            storage=_opened(kept),
            sampler=sampler,
            pruner=pruner,
            study_name=name,
            direction=direction,
            load_if_exists=True,
        )
        if processes == 1:
            _optimize(study, _objective(objective, spaces, catch), trials, timeout, catch)
        else:
            _run_processes(
                processes,
                kept,
                name,
                objective,
                spaces,
                method,
                seed,
                pruner,
                trials,
                timeout,
                catch,
            )
        if kept != storage:  # the file goes with the folder: keep what it says
            copy = optuna.create_study(study_name=name, direction=direction)
            copy.add_trials(study.trials)
            study = copy
    return Search(study, spaces)


def _run_processes(
    processes, storage, name, objective, spaces, method, seed, pruner, trials, timeout, catch
) -> None:
    import multiprocessing

    context = multiprocessing.get_context("fork")
    workers = []
    for i in range(processes):
        own = None if seed is None else seed + i
        share = trials * (i + 1) // processes - trials * i // processes
        arguments = (storage, name, objective, spaces, method, own, pruner, share, timeout, catch)
        workers.append(context.Process(target=_work, args=arguments))
        workers[-1].start()
    try:
        for worker in workers:
            worker.join()
    except BaseException:
        for worker in workers:
            worker.terminate()
            worker.join()
        raise
    failed = [w.exitcode for w in workers if w.exitcode]
    if failed:
        raise RuntimeError(f"search: {len(failed)} of {processes} processes failed; their messages are above")


class _quiet:
    """Optuna's messages off, for a while: the table has what they say."""

    def __init__(self, optuna):
        self._logging = optuna.logging

    def __enter__(self):
        self._before = self._logging.get_verbosity()
        self._logging.set_verbosity(self._logging.ERROR)

    def __exit__(self, *exception):
        self._logging.set_verbosity(self._before)
