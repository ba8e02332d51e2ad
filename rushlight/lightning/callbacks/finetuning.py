"""Freezing a part of a model and letting it learn later."""

from rushlight import nn
from rushlight.lightning.callbacks.callback import Callback
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.lightning.utilities.rank_zero import rank_zero_info, rank_zero_warn
from rushlight.nn.modules.batchnorm import _BatchNorm


def multiplicative(epoch: int) -> float:
    """The learning rate doubles every epoch."""
    return 2.0


class BaseFinetuning(Callback):
    """Base class: freeze layers before training, thaw them in some epoch.

    A subclass defines `freeze_before_training(pl_module)` and `finetune_function(pl_module, epoch, optimizer)`.
    """

    def __init__(self):
        self._groups: dict[int, list[dict]] = {}
        self._restarting = False

    def freeze_before_training(self, pl_module) -> None:
        """Freeze what shall be frozen."""
        raise NotImplementedError(f"{type(self).__name__} needs a method freeze_before_training(pl_module)")

    def finetune_function(self, pl_module, epoch: int, optimizer) -> None:
        """Called at the start of every epoch, to thaw."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a method finetune_function(pl_module, epoch, optimizer)"
        )

    @staticmethod
    def flatten_modules(modules) -> list[nn.Module]:
        """Layers, and modules with parameters of their own, in a module or a list of modules."""
        given = modules.values() if isinstance(modules, dict) else modules
        given = [given] if isinstance(given, nn.Module) else list(given)
        return [m for module in given for m in module.modules() if not list(m.children()) or m._parameters]

    @staticmethod
    def filter_params(modules, train_bn: bool = True, requires_grad: bool = True):
        """The parameters in modules.

        Args:
            modules: a module or a list.
            train_bn: those of batch normalization too.
            requires_grad: those that learn, or those that don't.
        """
        for module in BaseFinetuning.flatten_modules(modules):
            if isinstance(module, _BatchNorm) and not train_bn:
                continue
            for p in module._parameters.values():
                if p is not None and p.requires_grad == requires_grad:
                    yield p

    @staticmethod
    def make_trainable(modules) -> None:
        """Let modules learn."""
        BaseFinetuning._set(modules, True, True)

    @staticmethod
    def freeze_module(module) -> None:
        """Keep one module, without those in it, from learning."""
        BaseFinetuning._set_one(module, False)

    @staticmethod
    def freeze(modules, train_bn: bool = True) -> None:
        """Keep modules from learning.

        Args:
            modules: a module or a list.
            train_bn: leave batch normalization as it is.
        """
        BaseFinetuning._set(modules, False, not train_bn)

    @staticmethod
    def _set(modules, learn: bool, norms: bool) -> None:
        for module in BaseFinetuning.flatten_modules(modules):
            if not isinstance(module, _BatchNorm) or norms:
                BaseFinetuning._set_one(module, learn)
            else:
                BaseFinetuning._set_one(module, True)

    @staticmethod
    def _set_one(module, learn: bool) -> None:
        if isinstance(module, _BatchNorm):
            module.track_running_stats = learn
        for p in module._parameters.values():
            if p is not None:
                p.requires_grad = learn

    @staticmethod
    def filter_on_optimizer(optimizer, params) -> list:
        """Those parameters that the optimizer doesn't have yet."""
        known = {p for group in optimizer.param_groups for p in group["params"]}
        new = [p for p in params if p not in known]
        if len(new) < len(list(params)):
            rank_zero_warn(
                "The provided params to be frozen already exist within another group of this optimizer. Those parameters "
                "will be skipped. HINT: Did you init your optimizer in `configure_optimizer` with "
                "`filter(lambda p: p.requires_grad, self.parameters())`?"
            )
        return new

    @staticmethod
    def unfreeze_and_add_param_group(
        modules, optimizer, lr: float | None = None, initial_denom_lr: float = 10.0, train_bn: bool = True
    ) -> None:
        """Let modules learn, as a parameter group of their own.

        Args:
            modules: a module or a list.
            optimizer: gets the group.
            lr: its learning rate; by default that of the first group divided by `initial_denom_lr`.
            initial_denom_lr: the divisor.
            train_bn: with batch normalization.
        """
        BaseFinetuning.make_trainable(modules)
        divisor = initial_denom_lr if lr is None else 1.0
        rate = optimizer.param_groups[0]["lr"] if lr is None else float(lr)
        params = list(BaseFinetuning.filter_params(modules, train_bn=train_bn, requires_grad=True))
        params = BaseFinetuning.filter_on_optimizer(optimizer, params)
        if params:
            optimizer.add_param_group({"params": params, "lr": rate / divisor})

    def setup(self, trainer, pl_module, stage: str) -> None:
        """Freeze."""
        if stage == "fit":
            self.freeze_before_training(pl_module)

    def on_fit_start(self, trainer, pl_module) -> None:
        """In a run that goes on: give the optimizers the groups that they had."""
        if self._restarting:
            names = dict(pl_module.named_parameters())
            for number, optimizer in enumerate(trainer.optimizers):
                for group in self._groups.get(number, [])[len(optimizer.param_groups):]:  # fmt: skip
                    params = [names[name] for name in group["params"]]
                    for p in params:
                        p.requires_grad = True
                    optimizer.add_param_group({**group, "params": params})
            self._restarting = False

    def on_train_epoch_start(self, trainer, pl_module) -> None:
        """Thaw."""
        for number, optimizer in enumerate(trainer.optimizers):
            self.finetune_function(pl_module, trainer.current_epoch, optimizer)
            names = {p: name for name, p in pl_module.named_parameters()}
            self._groups[number] = [
                {
                    **{k: v for k, v in group.items() if k != "params"},
                    "params": [names[p] for p in group["params"]],
                }
                for group in optimizer.param_groups
            ]

    def state_dict(self) -> dict:
        """The groups, by the names of their parameters."""
        return {"internal_optimizer_metadata": self._groups}

    def load_state_dict(self, state_dict: dict) -> None:
        """Take them back."""
        self._groups = state_dict.get("internal_optimizer_metadata", {})
        self._restarting = True


class BackboneFinetuning(BaseFinetuning):
    """Let `pl_module.backbone` learn from some epoch on, at first more slowly than the rest.

    Args:
        unfreeze_backbone_at_epoch: from which epoch on.
        lambda_func: epoch -> by which factor its learning rate grows.
        backbone_initial_ratio_lr: its first learning rate, as a share of the rest's.
        backbone_initial_lr: its first learning rate itself.
        should_align: it doesn't become larger than the rest's.
        initial_denom_lr: accepted as in Lightning.
        train_bn: batch normalization learns all the time.
        verbose: say the rates.
        rounding: digits of what it says.
    """

    def __init__(
        self, unfreeze_backbone_at_epoch: int = 10, lambda_func=multiplicative, backbone_initial_ratio_lr: float = 10e-2,
        backbone_initial_lr: float | None = None, should_align: bool = True, initial_denom_lr: float = 10.0,
        train_bn: bool = True, verbose: bool = False, rounding: int = 12,
    ):  # fmt: skip
        super().__init__()
        self.unfreeze_backbone_at_epoch, self.lambda_func = unfreeze_backbone_at_epoch, lambda_func
        self.backbone_initial_ratio_lr, self.backbone_initial_lr = (
            backbone_initial_ratio_lr,
            backbone_initial_lr,
        )
        self.should_align, self.initial_denom_lr, self.train_bn = should_align, initial_denom_lr, train_bn
        self.verbose, self.rounding = verbose, rounding
        self.previous_backbone_lr: float | None = None

    def setup(self, trainer, pl_module, stage: str) -> None:
        """Check that there is a backbone, and freeze it.

        Raises:
            MisconfigurationException: there is none.
        """
        if not isinstance(getattr(pl_module, "backbone", None), nn.Module):
            raise MisconfigurationException(
                "The LightningModule should have a nn.Module `backbone` attribute"
            )
        super().setup(trainer, pl_module, stage)

    def freeze_before_training(self, pl_module) -> None:
        """Freeze the backbone."""
        self.freeze(pl_module.backbone, train_bn=self.train_bn)

    def finetune_function(self, pl_module, epoch: int, optimizer) -> None:
        """Thaw it, or raise its learning rate."""
        rate = optimizer.param_groups[0]["lr"]
        if epoch == self.unfreeze_backbone_at_epoch:
            own = self.backbone_initial_lr
            own = rate * self.backbone_initial_ratio_lr if own is None else own
            self.previous_backbone_lr = own
            self.unfreeze_and_add_param_group(
                pl_module.backbone,
                optimizer,
                own,
                train_bn=self.train_bn,
                initial_denom_lr=self.initial_denom_lr,
            )
        elif epoch > self.unfreeze_backbone_at_epoch and self.previous_backbone_lr is not None:
            own = self.lambda_func(epoch + 1) * self.previous_backbone_lr
            own = rate if self.should_align and own > rate else own
            optimizer.param_groups[-1]["lr"] = self.previous_backbone_lr = own
        else:
            return
        if self.verbose:
            rank_zero_info(
                f"Current lr: {round(rate, self.rounding)}, Backbone lr: {round(own, self.rounding)}"
            )

    def state_dict(self) -> dict:
        """The groups and the rate."""
        return {**super().state_dict(), "previous_backbone_lr": self.previous_backbone_lr}

    def load_state_dict(self, state_dict: dict) -> None:
        """Take them back."""
        self.previous_backbone_lr = state_dict["previous_backbone_lr"]
        super().load_state_dict(state_dict)
