"""LightningCLI: a command line from the signatures of a model, a datamodule and the Trainer, by jsonargparse.

For a command line without a script see `rushlight train`.
"""

import copy
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from types import MethodType
from typing import Any

import rushlight as torch
from rushlight.lightning.callbacks.callback import Callback
from rushlight.lightning.core.datamodule import LightningDataModule
from rushlight.lightning.core.hparams import given_hyperparameters
from rushlight.lightning.core.module import LightningModule, is_overridden
from rushlight.lightning.trainer import Trainer
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.lightning.utilities.rank_zero import rank_zero_warn
from rushlight.lightning.utilities.seed import seed_everything
from rushlight.lightning.version import __version__
from rushlight.optim import Optimizer, lr_scheduler
from rushlight.optim.lr_scheduler import LRScheduler

try:
    import jsonargparse
    from jsonargparse import ArgumentParser, Namespace
except ImportError:  # said where a parser is made: scripts may import this module and not use it
    jsonargparse, ArgumentParser, Namespace = None, object, object

__all__ = ["LightningArgumentParser", "LightningCLI", "SaveConfigCallback"]

_CORE = (Trainer, LightningModule, LightningDataModule, Callback)


class ReduceLROnPlateau(lr_scheduler.ReduceLROnPlateau):
    """The scheduler, which knows the name of its metric.

    Args:
        optimizer: whose rate. monitor: the metric. *args, **kwargs: those of the scheduler.
    """

    def __init__(self, optimizer: Optimizer, monitor: str, *args: Any, **kwargs: Any):
        super().__init__(optimizer, *args, **kwargs)
        self.monitor = monitor


LRSchedulerTypeTuple = (LRScheduler, ReduceLROnPlateau)
LRSchedulerTypeUnion = LRScheduler | ReduceLROnPlateau
LRSchedulerType = type[LRScheduler] | type[ReduceLROnPlateau]
ArgsType = list[str] | dict[str, Any] | None
OptimizerCallable = Callable[[Iterable], Optimizer]
LRSchedulerCallable = Callable[[Optimizer], LRScheduler | ReduceLROnPlateau]


class LightningArgumentParser(ArgumentParser):
    """A parser that takes arguments from signatures.

    Args:
        description: shown with --help. env_prefix: of environment variables. default_env: whether these are read.
        *args, **kwargs: those of `jsonargparse.ArgumentParser`.
    Raises:
        ModuleNotFoundError: jsonargparse isn't installed.
    """

    def __init__(
        self, *args: Any, description: str = "Lightning Trainer command line tool", env_prefix: str = "PL",
        default_env: bool = False, **kwargs: Any,
    ):  # fmt: skip
        if jsonargparse is None:
            raise ModuleNotFoundError(
                "LightningCLI needs jsonargparse: pip install 'jsonargparse[signatures]'; "
                "`rushlight train` does without it"
            )
        super().__init__(
            *args, description=description, env_prefix=env_prefix, default_env=default_env, **kwargs
        )
        self.callback_keys: list[str] = []
        self._optimizers: dict[str, tuple] = {}
        self._lr_schedulers: dict[str, tuple] = {}

    def add_lightning_class_args(
        self, lightning_class, nested_key: str, subclass_mode: bool = False, required: bool = True
    ) -> list[str]:
        """Add the arguments of a Trainer, model, datamodule or callback.

        Args:
            lightning_class: the class, or a function that makes one.
            nested_key: before the names of the arguments.
            subclass_mode: let subclasses be chosen by `class_path`.
            required: whether it must be given.
        Returns:
            The names.
        Raises:
            MisconfigurationException: another class.
        """
        if callable(lightning_class) and not isinstance(lightning_class, type):
            lightning_class = jsonargparse.class_from_function(lightning_class)
        if not isinstance(lightning_class, type) or not issubclass(lightning_class, _CORE):
            raise MisconfigurationException(
                f"Cannot add arguments from: {lightning_class}. You should provide either a callable or a subclass of: "
                "Trainer, LightningModule, LightningDataModule, or Callback."
            )
        if issubclass(lightning_class, Callback):
            self.callback_keys.append(nested_key)
        if subclass_mode:
            return self.add_subclass_arguments(
                lightning_class, nested_key, fail_untyped=False, required=required
            )
        return self.add_class_arguments(
            lightning_class, nested_key, fail_untyped=False, instantiate=not issubclass(lightning_class, Trainer),
            sub_configs=True,
        )  # fmt: skip

    def add_optimizer_args(
        self, optimizer_class=(Optimizer,), nested_key: str = "optimizer", link_to: str = "AUTOMATIC"
    ) -> None:
        """Add the arguments of an optimizer.

        Args:
            optimizer_class: the class; or a tuple of classes, of whose subclasses one is chosen by `class_path`.
            nested_key: before the names. link_to: an argument of the model that gets them; "AUTOMATIC" makes
                `configure_optimizers` of them.
        """
        self._add_made_later(optimizer_class, nested_key, "params")
        self._optimizers[nested_key] = (optimizer_class, link_to)

    def add_lr_scheduler_args(
        self,
        lr_scheduler_class=LRSchedulerTypeTuple,
        nested_key: str = "lr_scheduler",
        link_to: str = "AUTOMATIC",
    ) -> None:
        """Add the arguments of a scheduler; as for optimizers."""
        self._add_made_later(lr_scheduler_class, nested_key, "optimizer")
        self._lr_schedulers[nested_key] = (lr_scheduler_class, link_to)

    def _add_made_later(self, kind, key: str, first: str) -> None:
        options = {"instantiate": False, "fail_untyped": False, "skip": {first}}
        if isinstance(kind, tuple):
            self.add_subclass_arguments(kind, key, **options)
        else:
            self.add_class_arguments(kind, key, sub_configs=True, **options)


class SaveConfigCallback(Callback):
    """Saves what was parsed into the folder of the run, as `config.yaml`.

    Args:
        parser: the parser. config: what it parsed.
        config_filename: of the file. overwrite: replace one that is there. multifile: as several files, as it was read.
        save_to_log_dir: False leaves it to `save_config` of a subclass.
    """

    def __init__(
        self, parser: LightningArgumentParser, config: Namespace, config_filename: str = "config.yaml",
        overwrite: bool = False, multifile: bool = False, save_to_log_dir: bool = True,
    ):  # fmt: skip
        self.parser, self.config, self.config_filename = parser, config, config_filename
        self.overwrite, self.multifile, self.save_to_log_dir = overwrite, multifile, save_to_log_dir
        self.already_saved = False
        if not save_to_log_dir and not is_overridden("save_config", self, SaveConfigCallback):
            raise ValueError(
                "`save_to_log_dir=False` only makes sense when subclassing SaveConfigCallback to implement `save_config` and "
                "it is desired to disable the standard behavior of saving to log_dir."
            )

    def setup(self, trainer, pl_module, stage: str) -> None:
        """Save it.

        Raises:
            RuntimeError: there is such a file.
        """
        if self.already_saved:
            return
        if self.save_to_log_dir:
            path = os.path.join(trainer.log_dir, self.config_filename)
            if not self.overwrite and os.path.isfile(path):
                raise RuntimeError(
                    f"{type(self).__name__} expected {path} to NOT exist. Aborting to avoid overwriting results of a previous "
                    "run. You can delete the previous config file, set `LightningCLI(save_config_callback=None)` to disable "
                    'config saving, or set `LightningCLI(save_config_kwargs={"overwrite": True})` to overwrite the config '
                    "file."
                )
            os.makedirs(trainer.log_dir, exist_ok=True)
            self.parser.save(
                self.config, path, skip_none=False, overwrite=self.overwrite, multifile=self.multifile
            )
        self.save_config(trainer, pl_module, stage)
        self.already_saved = True

    def save_config(self, trainer, pl_module, stage: str) -> None:
        """Save it elsewhere too, in a subclass."""


class LightningCLI:
    """A command line for a model and its data: `python script.py fit --model.width 8 --trainer.max_epochs 2`.

    Args:
        model_class, datamodule_class: the classes, or functions that make them; None lets them be chosen by `class_path`.
        save_config_callback, save_config_kwargs: what saves the config, and its arguments; None for nothing.
        trainer_class, trainer_defaults: the Trainer and its defaults; callbacks among these come beside those asked for.
        seed_everything_default: the seed; True for one of the environment, False for none.
        parser_kwargs, parser_class: the parser and its arguments; by subcommands too.
        subclass_mode_model, subclass_mode_data: let subclasses be chosen by `class_path`.
        args: what to parse instead of the command line.
        run: whether the first argument is a subcommand (fit, validate, test, predict), which is run.
        auto_configure_optimizers: add --optimizer and --lr_scheduler.
        load_from_checkpoint_support: keep in hyperparameters what `load_from_checkpoint` needs for objects.
    Raises:
        ModuleNotFoundError: jsonargparse isn't installed.
    """

    def __init__(
        self, model_class=None, datamodule_class=None, save_config_callback=SaveConfigCallback,
        save_config_kwargs: dict | None = None, trainer_class=Trainer, trainer_defaults: dict | None = None,
        seed_everything_default: bool | int = True, parser_kwargs: dict | None = None,
        parser_class: type[LightningArgumentParser] = LightningArgumentParser, subclass_mode_model: bool = False,
        subclass_mode_data: bool = False, args: ArgsType = None, run: bool = True, auto_configure_optimizers: bool = True,
        load_from_checkpoint_support: bool = True,
    ):  # fmt: skip
        self.save_config_callback, self.save_config_kwargs = save_config_callback, save_config_kwargs or {}
        self.trainer_class, self.trainer_defaults = trainer_class, trainer_defaults or {}
        self.seed_everything_default = seed_everything_default
        self.parser_kwargs, self.parser_class = parser_kwargs or {}, parser_class
        self.auto_configure_optimizers = auto_configure_optimizers
        self.model_class, self._model_class = model_class, model_class or LightningModule
        self.subclass_mode_model = model_class is None or subclass_mode_model
        self.datamodule_class, self._datamodule_class = (
            datamodule_class,
            datamodule_class or LightningDataModule,
        )
        self.subclass_mode_data = datamodule_class is None or subclass_mode_data
        names = self.subcommands()
        main = {k: v for k, v in self.parser_kwargs.items() if k not in names}
        self.setup_parser(run, main, {k: v for k, v in self.parser_kwargs.items() if k in names})
        self.parse_arguments(self.parser, args)
        self._parse_ckpt_path()
        self.subcommand = self.config["subcommand"] if run else None
        self._set_seed()
        if load_from_checkpoint_support:
            for key, kind, subclasses in (
                ("model", self._model_class, self.subclass_mode_model),
                ("data", self._datamodule_class, self.subclass_mode_data),
            ):
                kind = kind if isinstance(kind, type) else inspect.signature(kind).return_annotation
                if isinstance(kind, type):
                    self.parser.add_instantiator(_Instantiator(self, key), kind, subclasses=subclasses)
        self.before_instantiate_classes()
        self.instantiate_classes()
        self.after_instantiate_classes()
        if self.subcommand is not None:
            self._run_subcommand(self.subcommand)

    # -- the parser -------------------------------------------------------------------------------------

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """Make a parser."""
        kwargs.setdefault("dump_header", [f"lightning.pytorch=={__version__}"])
        parser = self.parser_class(**kwargs)
        parser.add_argument(
            "-c", "--config", action=jsonargparse.ActionConfigFile,
            help="Path to a configuration file in json or yaml format.",
        )  # fmt: skip
        return parser

    def setup_parser(self, add_subcommands: bool, main_kwargs: dict, subparser_kwargs: dict) -> None:
        """Make the parser with its subcommands and arguments."""
        self.parser = self.init_parser(**main_kwargs)
        if add_subcommands:
            self._subcommand_method_arguments: dict[str, list[str]] = {}
            self._add_subcommands(self.parser, **subparser_kwargs)
        else:
            self._add_arguments(self.parser)

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add --seed_everything."""
        parser.add_argument(
            "--seed_everything", type=bool | int, default=self.seed_everything_default,
            help="Set to an int to run seed_everything with this value before classes instantiation. "
            "Set to True to use a random seed.",
        )  # fmt: skip

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the arguments of Trainer, model and datamodule."""
        parser.add_lightning_class_args(self.trainer_class, "trainer")
        parser.set_defaults({f"trainer.{k}": v for k, v in self.trainer_defaults.items() if k != "callbacks"})
        parser.add_lightning_class_args(self._model_class, "model", self.subclass_mode_model)
        parser.add_lightning_class_args(
            self._datamodule_class,
            "data",
            self.subclass_mode_data,
            required=self.datamodule_class is not None,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add more arguments, and links between them, in a subclass."""

    def _add_arguments(self, parser: LightningArgumentParser) -> None:
        self.add_default_arguments_to_parser(parser)
        self.add_core_arguments_to_parser(parser)
        self.add_arguments_to_parser(parser)
        if self.auto_configure_optimizers:
            if not parser._optimizers:
                parser.add_optimizer_args((Optimizer,))
            if not parser._lr_schedulers:
                parser.add_lr_scheduler_args(LRSchedulerTypeTuple)
        self.link_optimizers_and_lr_schedulers(parser)

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The subcommands, with those arguments of the Trainer's methods that are no options."""
        return {
            "fit": {"model", "train_dataloaders", "val_dataloaders", "datamodule"},
            "validate": {"model", "dataloaders", "datamodule"},
            "test": {"model", "dataloaders", "datamodule"},
            "predict": {"model", "dataloaders", "datamodule"},
        }

    def _add_subcommands(self, parser: LightningArgumentParser, **kwargs: Any) -> None:
        self._subcommand_parsers: dict[str, LightningArgumentParser] = {}
        subparsers = parser.add_subcommands()
        kind = self.trainer_class
        kind = kind if isinstance(kind, type) else jsonargparse.class_from_function(kind)
        for name, skip in self.subcommands().items():
            description = (inspect.getdoc(getattr(kind, name)) or "").split("\n\n")[0] or None
            subparser = self.init_parser(**{"description": description, **kwargs.get(name, {})})
            self._add_arguments(subparser)
            self._subcommand_method_arguments[name] = subparser.add_method_arguments(
                kind, name, skip=set(skip)
            )
            self._subcommand_parsers[name] = subparser
            subparsers.add_subcommand(name, subparser, help=description)

    @staticmethod
    def link_optimizers_and_lr_schedulers(parser: LightningArgumentParser) -> None:
        """Give arguments of optimizers and schedulers to those of the model that they are linked to."""
        for key, (kind, target) in {**parser._optimizers, **parser._lr_schedulers}.items():
            if target != "AUTOMATIC":
                function = None if isinstance(kind, tuple) else functools.partial(_with_class_path, kind)
                parser.link_arguments(key, target, compute_fn=function)

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, into `self.config`."""
        if args is not None and len(sys.argv) > 1:
            rank_zero_warn(
                "LightningCLI's args parameter is intended to run from within Python like if it were from the command line. "
                "To prevent mistakes it is not recommended to provide both args and command line arguments, got: "
                f"sys.argv[1:]={sys.argv[1:]}, args={args}."
            )
        parse = parser.parse_object if isinstance(args, dict | Namespace) else parser.parse_args
        self.config = parse(args)

    def _parse_ckpt_path(self) -> None:
        """Take hyperparameters from the checkpoint that a subcommand is given."""
        name = self.config.get("subcommand")
        path = self.config[name].get("ckpt_path") if name else None
        if not path or not os.path.isfile(path):
            return
        hparams = torch.load(path, weights_only=True, map_location="cpu").get("hyper_parameters", {})
        hparams.pop("_instantiator", None)
        if not hparams:
            return
        if "_class_path" in hparams:
            hparams = {"class_path": hparams.pop("_class_path"), "dict_kwargs": hparams}
        try:
            self.config = self.parser.parse_object({name: {"model": hparams}}, self.config)
        except SystemExit:
            sys.stderr.write("Parsing of ckpt_path hyperparameters failed!\n")
            raise

    def _set_seed(self) -> None:
        seed = self._get(self.config, "seed_everything")
        if seed is False:
            return
        seed = seed_everything(None if seed is True else seed, workers=True)
        (self.config[self.subcommand] if self.subcommand else self.config)["seed_everything"] = seed

    # -- what is made of it -----------------------------------------------------------------------------

    def before_instantiate_classes(self) -> None:
        """Before model, datamodule and Trainer are made, in a subclass."""

    def instantiate_classes(self) -> None:
        """Make model, datamodule and Trainer."""
        self.config_init = self.parser.instantiate_classes(self.config)
        self.datamodule = self._get(self.config_init, "data")
        self.model = self._get(self.config_init, "model")
        self._add_configure_optimizers_method_to_model(self.subcommand)
        self.trainer = self.instantiate_trainer()

    def after_instantiate_classes(self) -> None:
        """After they are made, in a subclass."""

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Make the Trainer; `kwargs` replace what was parsed."""
        extra = [self._get(self.config_init, key) for key in self._parser(self.subcommand).callback_keys]
        return self._instantiate_trainer({**self._get(self.config_init, "trainer", {}), **kwargs}, extra)

    def _instantiate_trainer(self, config: dict, callbacks: list) -> Trainer:
        if "callbacks" not in config:
            rank_zero_warn(
                f"The `{self.trainer_class.__qualname__}` class does not expose the `callbacks` argument so they will not be "
                "included."
            )
            return self.trainer_class(**config)
        config["callbacks"] = [
            *_list(config["callbacks"]),
            *callbacks,
            *_list(self.trainer_defaults.get("callbacks")),
        ]
        if self.save_config_callback and not config.get("fast_dev_run", False):
            config["callbacks"].append(
                self.save_config_callback(
                    self._parser(self.subcommand),
                    self.config.get(str(self.subcommand), self.config),
                    **self.save_config_kwargs,
                )
            )
        return self.trainer_class(**config)

    def _parser(self, subcommand: str | None) -> LightningArgumentParser:
        return self.parser if subcommand is None else self._subcommand_parsers[subcommand]

    def _get(self, config, key: str, default=None):
        return config.get(str(self.subcommand), config).get(key, default)

    @staticmethod
    def configure_optimizers(
        lightning_module, optimizer: Optimizer, lr_scheduler: LRSchedulerTypeUnion | None = None
    ):
        """What `configure_optimizers` of the model becomes."""
        if lr_scheduler is None:
            return optimizer
        if isinstance(lr_scheduler, ReduceLROnPlateau):
            return {
                "optimizer": optimizer,
                "lr_scheduler": {"scheduler": lr_scheduler, "monitor": lr_scheduler.monitor},
            }
        return [optimizer], [lr_scheduler]

    def _add_configure_optimizers_method_to_model(self, subcommand: str | None) -> None:
        if not self.auto_configure_optimizers:
            return
        parser = self._parser(subcommand)
        optimizers = [k for k, (_, link) in parser._optimizers.items() if link == "AUTOMATIC"]
        schedulers = [k for k, (_, link) in parser._lr_schedulers.items() if link == "AUTOMATIC"]
        if not optimizers:
            return
        if len(optimizers) > 1 or len(schedulers) > 1:
            raise MisconfigurationException(
                f"`{type(self).__name__}.add_configure_optimizers_method_to_model` expects at most one optimizer and one "
                f"lr_scheduler to be 'AUTOMATIC', but found {optimizers + schedulers}. In this case the user is expected to "
                "link the argument groups and implement `configure_optimizers`"
            )
        asked = self._asked(parser._optimizers, optimizers[0])
        if not asked:
            return
        if is_overridden("configure_optimizers", self.model):
            rank_zero_warn(
                f"`{type(self.model).__name__}.configure_optimizers` will be overridden by "
                f"`{type(self).__name__}.configure_optimizers`."
            )
        optimizer = instantiate_class(self.model.parameters(), asked)
        asked = self._asked(parser._lr_schedulers, schedulers[0]) if schedulers else None
        scheduler = instantiate_class(optimizer, asked) if asked else None
        function = functools.partial(self.configure_optimizers, optimizer=optimizer, lr_scheduler=scheduler)
        functools.update_wrapper(function, self.configure_optimizers)
        self.model.configure_optimizers = MethodType(function, self.model)

    def _asked(self, register: dict, key: str):
        kind, init = register[key][0], self._get(self.config_init, key)
        return init if isinstance(kind, tuple) else _with_class_path(kind, init)

    def _dump_config(self) -> dict:
        """What was parsed, as plain data."""
        if not hasattr(self, "config_dump"):
            import yaml

            text = self.parser.dump(self.config, skip_link_targets=False, skip_none=False, format="yaml")
            dump = yaml.safe_load(text)
            self.config_dump = dump[self.config.subcommand] if "subcommand" in self.config else dump
        return self.config_dump

    def _run_subcommand(self, subcommand: str) -> None:
        getattr(self, f"before_{subcommand}", _nothing)()
        getattr(self, subcommand, getattr(self.trainer, subcommand))(
            **self._prepare_subcommand_kwargs(subcommand)
        )
        getattr(self, f"after_{subcommand}", _nothing)()

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict:
        names = self._subcommand_method_arguments[subcommand]
        kwargs = {k: v for k, v in self.config_init[subcommand].items() if k in names}
        data = {} if self.datamodule is None else {"datamodule": self.datamodule}
        return {**kwargs, "model": self.model, **data}


def _nothing() -> None:
    return None


def _list(value) -> list:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def _with_class_path(kind: type, init_args=None) -> dict:
    init_args = init_args.as_dict() if isinstance(init_args, Namespace) else init_args
    return {"class_path": f"{kind.__module__}.{kind.__qualname__}", "init_args": init_args or {}}


def instantiate_class(args: Any, init: dict) -> Any:
    """An object from its class's name and arguments.

    Args:
        args: the first argument, or a tuple of them. init: {"class_path": ..., "init_args": ...}.

    >>> import rushlight as torch
    >>> instantiate_class(2, {"class_path": "rushlight.nn.Linear", "init_args": {"out_features": 3}})
    Linear(in_features=2, out_features=3, bias=True)
    """
    module, _, name = init["class_path"].rpartition(".")
    args = args if isinstance(args, tuple) else (args,)
    return getattr(import_module(module), name)(*args, **init.get("init_args", {}))


class _Instantiator:
    """Makes the model or the datamodule; `save_hyperparameters` finds what was parsed, as plain data."""

    def __init__(self, cli: LightningCLI, key: str):
        self.cli, self.key = cli, key

    def __call__(self, class_type, *args, applied_instantiation_links: dict, **kwargs):
        hparams = copy.deepcopy(self.cli._dump_config().get(self.key) or {})
        if "class_path" in hparams:
            hparams = {"_class_path": hparams["class_path"], **(hparams.get("init_args") or {}),
                       **(hparams.get("dict_kwargs") or {})}  # fmt: skip
        for name, value in applied_instantiation_links.items():
            if name.startswith(f"{self.key}."):
                *parents, last = name[len(self.key) + 1 :].removeprefix("init_args.").split(".")
                place = hparams
                for parent in parents:
                    place = place.setdefault(parent, {})
                place[last] = value
        token = given_hyperparameters.set(
            {**hparams, "_instantiator": "lightning.pytorch.cli.instantiate_module"}
        )
        try:
            return class_type(*args, **kwargs)
        finally:
            given_hyperparameters.reset(token)


def instantiate_module(class_type: type, config: dict):
    """A model or datamodule from hyperparameters that LightningCLI has kept.

    Args:
        class_type: the class. config: the hyperparameters.
    """
    config = {k: v for k, v in config.items() if k != "_instantiator"}
    parser = ArgumentParser(exit_on_error=False)
    if "_class_path" in config:
        parser.add_subclass_arguments(class_type, "module", fail_untyped=False)
        config = {"class_path": config.pop("_class_path"), "dict_kwargs": config}
    else:
        parser.add_class_arguments(class_type, "module", fail_untyped=False)
    return parser.instantiate_classes(parser.parse_object({"module": config})).module
