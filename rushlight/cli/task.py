"""What is trained: a model with its loss, its figures and its optimizer."""

import rushlight as torch
from rushlight import nn
from rushlight.cli.errors import told
from rushlight.lightning import LightningModule
from rushlight.metrics import Accuracy, F1Score, MeanAbsoluteError, MeanSquaredError, R2Score
from rushlight.utils.finetune import freeze

_OPTIMIZERS = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "nadam": torch.optim.NAdam,
    "adagrad": torch.optim.Adagrad,
}
_LOSSES = {"mse": nn.MSELoss, "mae": nn.L1Loss, "huber": nn.HuberLoss}


def mode_of(name: str) -> str:
    """Whether a figure shall become small ("min") or large ("max")."""
    return "max" if name.rpartition("_")[2] in ("accuracy", "f1", "r2") else "min"


class Task(LightningModule):
    """A model that learns to classify, or to predict a number.

    Args:
        net: the model: scores of classes, or one number in units of the targets' deviation from their mean.
        described: of the data: task, classes, target_mean, target_std.
        settings: of training.
        watched: the figure that says what progress is.
        weights: of the classes in the loss.
    """

    def __init__(self, net: nn.Module, described: dict, settings, watched: str = "val_loss", weights=None):
        super().__init__()
        self.net, self.settings, self.lr, self.watched = net, settings, settings.lr, watched
        self.classifies = described["task"] == "classification"
        if self.classifies:
            self.loss = nn.CrossEntropyLoss(
                weights,
                label_smoothing=settings.label_smoothing,
            )
            count = len(described["classes"])
            metrics = {"val_accuracy": Accuracy("multiclass", count), "val_f1": F1Score("multiclass", count)}
        else:
            self.loss = _LOSSES[settings.loss]()
            self.mean, self.std = described["target_mean"], described["target_std"]
            metrics = {
                "val_mae": MeanAbsoluteError(), "val_rmse": MeanSquaredError(squared=False), "val_r2": R2Score(),
            }  # fmt: skip
        self.metrics = nn.ModuleDict(metrics)

    @property
    def figures(self) -> list[str]:
        """The names of what it logs."""
        training = ["train_loss", "train_accuracy"] if self.classifies else ["train_loss"]
        return ["val_loss", *self.metrics, *training]

    def forward(self, x):
        """Scores of classes (N, classes), or numbers (N,) in the targets' own unit."""
        return self.net(x) if self.classifies else self._scaled(x) * self.std + self.mean

    def _scaled(self, x):
        return self.net(x).squeeze(1)

    def _loss(self, x, y):
        """The loss of a batch, and what was predicted."""
        if self.classifies:
            scores = self.net(x)
            return self.loss(scores, y), scores
        scaled = self._scaled(x)
        return self.loss(scaled, (y - self.mean) / self.std), scaled.detach() * self.std + self.mean

    def on_train_epoch_start(self) -> None:
        """Frozen parts keep their statistics as well; the learning rate is logged."""
        self.hold()
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"])

    def hold(self) -> None:
        """Keep the parts that shall not learn as they are.

        Raises:
            CommandError: there is no such part.
        """
        if self.settings.freeze:
            with told(before="--freeze: "):
                freeze(self.net, *self.settings.freeze)

    def training_step(self, batch, batch_idx: int):
        """The loss of a batch."""
        x, y = batch
        loss, predicted = self._loss(x, y)
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(y))
        if self.classifies:
            right = (predicted.argmax(1) == y).float().mean()
            self.log("train_accuracy", right, on_step=False, on_epoch=True, batch_size=len(y))
        return loss

    def validation_step(self, batch, batch_idx: int) -> None:
        """Figures of a batch."""
        x, y = batch
        loss, predicted = self._loss(x, y)
        self.log("val_loss", loss, prog_bar=True, batch_size=len(y))
        for name, metric in self.metrics.items():
            metric.update(predicted, y)
            self.log(name, metric, prog_bar=name in ("val_accuracy", "val_mae"))

    def predict_step(self, batch, batch_idx: int):
        """Probabilities of classes, or numbers."""
        found = self(batch[0] if isinstance(batch, list | tuple) else batch)
        return found.softmax(1) if self.classifies else found

    def configure_optimizers(self):
        """The optimizer, and the schedule of its learning rate."""
        s = self.settings
        arguments = {"lr": self.lr, "weight_decay": s.weight_decay}
        if s.optimizer in ("sgd", "rmsprop"):
            arguments["momentum"] = s.momentum
        optimizer = _OPTIMIZERS[s.optimizer]((p for p in self.parameters() if p.requires_grad), **arguments)
        schedules = torch.optim.lr_scheduler
        if s.schedule == "none":
            return optimizer
        if s.schedule == "onecycle":
            steps = int(self.trainer.estimated_stepping_batches)
            scheduler = {"scheduler": schedules.OneCycleLR(optimizer, self.lr, steps), "interval": "step"}
        elif s.schedule == "cosine":
            scheduler = {"scheduler": schedules.CosineAnnealingLR(optimizer, s.epochs)}
        elif s.schedule == "step":
            scheduler = {"scheduler": schedules.StepLR(optimizer, s.schedule_epochs, s.schedule_factor)}
        else:
            plateau = schedules.ReduceLROnPlateau(
                optimizer, mode_of(self.watched), factor=s.schedule_factor, patience=s.schedule_epochs
            )
            scheduler = {"scheduler": plateau, "monitor": self.watched}
        return {"optimizer": optimizer, "lr_scheduler": scheduler}
