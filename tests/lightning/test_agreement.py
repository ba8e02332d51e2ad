"""Where programs run under Lightning 2.6 and here once differed. Expected values are Lightning's."""

import csv
import os

import pytest

import rushlight as torch
from rushlight import lightning as pl
from rushlight import nn
from rushlight.lightning import callbacks as cb
from rushlight.lightning.callbacks.early_stopping import EarlyStoppingReason
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from rushlight.lightning.utilities.model_helpers import is_overridden
from rushlight.lightning.utilities.model_summary import get_human_readable_count
from rushlight.utils.data import DataLoader, IterableDataset
from tests.lightning.models import QUIET, Checked, Line, loader

SAVING = {key: value for key, value in QUIET.items() if key != "enable_checkpointing"}


def fit(model, *data, **options):
    trainer = pl.Trainer(**{"max_epochs": 1, **QUIET, **options})
    trainer.fit(model, *data)
    return trainer


def test_callbacks_log_like_the_model():
    class Logging(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, *args):
            self.log("of_batch", 2.0)

        def on_train_epoch_end(self, trainer, pl_module):
            self.log_dict({"of_epoch": 3.0}, prog_bar=True)

    trainer = fit(Line(), loader(), callbacks=[Logging()])
    assert trainer.callback_metrics["of_batch"] == 2 and trainer.progress_bar_metrics["of_epoch"] == 3


class ByLoader(Line):
    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        self.log("v", float(dataloader_idx))
        self.log(f"only_{dataloader_idx}", 1.0, add_dataloader_idx=False)
        self.log("of_step", float(batch_idx), on_step=True, on_epoch=False, add_dataloader_idx=False)

    def on_validation_epoch_end(self):
        self.log("end", 3.0)


def test_metrics_by_loader_and_steps_of_validation(tmp_path, capsys):
    logger = pl.loggers.CSVLogger(tmp_path)
    trainer = fit(ByLoader(), loader(), [loader(8), loader(4)], max_epochs=2, logger=logger)
    with open(os.path.join(logger.log_dir, "metrics.csv"), newline="") as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row["of_step"]]
    assert steps == [0, 1, 2, 3, 4, 5]
    assert trainer.validate(ByLoader(), [loader(8), loader(4)]) == [
        {"v/dataloader_idx_0": 0.0, "only_0": 1.0, "end": 3.0}, {"v/dataloader_idx_1": 1.0, "only_1": 1.0, "end": 3.0}
    ]  # fmt: skip
    assert capsys.readouterr().out.count("Validate metric") == 1  # one table, a column for each


def test_values_before_a_validation_stay():
    """What a validation logs under a step's name is not written over when the epoch ends."""

    class Same(Line):
        def validation_step(self, batch, batch_idx):
            self.log("a", 99.0)

        def training_step(self, batch, batch_idx):
            self.log("a", float(batch_idx))
            return super().training_step(batch, batch_idx)

    assert fit(Same(), loader(), loader(4)).callback_metrics["a"] == 99


def test_limits():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter([(torch.ones(1), torch.ones(1))] * 4)

    class Free(Line):
        def configure_optimizers(self):
            return None

    assert fit(Line(), DataLoader(Stream(), 2), max_epochs=2).estimated_stepping_batches == -1
    with pytest.warns(UserWarning, match="no optimizer"):
        assert fit(Free(), loader()).global_step == 5
    stopping = cb.LambdaCallback(on_train_start=lambda trainer, module: setattr(trainer, "should_stop", True))
    assert (
        fit(Line(), loader(), max_epochs=3, min_steps=3, callbacks=[stopping]).global_step == 5
    )  # a whole epoch
    assert fit(Line(), loader(), limit_train_batches=2.0).global_step == 2
    with pytest.raises(ValueError, match="sequential"):
        fit(Line(), pl.utilities.CombinedLoader([loader(), loader()], "sequential"))
    with pytest.raises(MisconfigurationException, match="clip_gradients"):
        model = Line()
        model.configure_gradient_clipping = lambda optimizer, *args: model.clip_gradients(optimizer, 0.1)
        fit(model, loader(), gradient_clip_val=0.5)


def test_checkpoints_after_validation(tmp_path):
    options = {**SAVING, "max_epochs": 4, "check_val_every_n_epoch": 2, "num_sanity_val_steps": -1}
    keep = cb.ModelCheckpoint(tmp_path, monitor="val_loss", save_top_k=-1)
    pl.Trainer(callbacks=[keep], **options).fit(Checked(), loader(), loader(4))
    assert sorted(os.listdir(tmp_path)) == ["epoch=1-step=10.ckpt", "epoch=3-step=20.ckpt"]
    trainer = pl.Trainer(fast_dev_run=True, enable_progress_bar=False)
    assert trainer.checkpoint_callback is not None  # scripts ask for its best_model_path


def test_why_it_stopped():
    stopping = cb.EarlyStopping("loss", stopping_threshold=1e9, check_on_train_epoch_end=True)
    fit(Line(), loader(), max_epochs=3, callbacks=[stopping])
    assert stopping.stopping_reason is EarlyStoppingReason.STOPPING_THRESHOLD
    assert "< 1000000000.0" in stopping.stopping_reason_message
    other = cb.EarlyStopping("loss")
    other.load_state_dict(stopping.state_dict())
    assert other.stopping_reason is EarlyStoppingReason.STOPPING_THRESHOLD


class Base(Line):
    def __init__(self, width=1, data=None):
        super().__init__()
        self.save_hyperparameters(ignore="data")


class OneDictionary(Line):
    def __init__(self, hparams):
        pl.LightningModule.__init__(self)
        self.save_hyperparameters(hparams)
        self.layer = nn.Linear(1, 1)


class Numbers(pl.LightningDataModule):
    def __init__(self, lr=3):
        super().__init__()
        self.save_hyperparameters()

    def train_dataloader(self):
        return loader()


def test_hyperparameters(tmp_path):
    assert sorted(Base(2).hparams) == ["lr", "width"]  # `data` was saved by the base class
    model = OneDictionary({"lr": 0.1})
    fit(model, loader()).save_checkpoint(tmp_path / "a.ckpt")
    assert OneDictionary.load_from_checkpoint(tmp_path / "a.ckpt", lr=7).hparams.lr == 7
    with pytest.raises(TypeError, match="cannot be called on an instance"):
        model.load_from_checkpoint(tmp_path / "a.ckpt")
    with pytest.raises(RuntimeError, match=r"keys \['lr'\]"):
        fit(Line(0.1), Numbers(3), logger=pl.loggers.CSVLogger(tmp_path))
    assert str(Numbers()).splitlines()[:2] == ["{Train dataloader: size=20}", "{Validation dataloader: None}"]


def test_prediction_writer():
    class Writer(cb.BasePredictionWriter):
        def __init__(self):
            super().__init__("batch_and_epoch")
            self.seen = []

        def write_on_batch_end(self, trainer, module, prediction, indices, batch, batch_idx, dataloader_idx):
            self.seen.append((batch_idx, indices, tuple(prediction.shape)))

        def write_on_epoch_end(self, trainer, module, predictions, indices):
            self.seen.append((len(predictions[0]), indices))

    writer = Writer()
    pl.Trainer(callbacks=[writer], **QUIET).predict(Checked(), loader(6))
    assert writer.seen == [(0, [0, 1, 2, 3], (4, 1)), (1, [4, 5], (2, 1)), (2, [[[0, 1, 2, 3], [4, 5]]])]


def test_bars_are_called_seldom_but_their_subclasses_always(capsys):
    class Counting(cb.PlainProgressBar):
        count = 0

        def on_train_batch_end(self, *args):
            self.count += 1

    bar = Counting()
    options = {key: value for key, value in QUIET.items() if key != "enable_progress_bar"}
    pl.Trainer(max_epochs=1, callbacks=[bar], **options).fit(Line(), loader())
    assert bar.count == 5


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0  "), (999, "999  "), (7850, "7.9 K"), (855_050, "855 K"), (61_706, "61.7 K"), (2e6, "2.0 M"), (5e15, "5,000 T")]
)  # fmt: skip
def test_counts_of_parameters(count, text):
    assert get_human_readable_count(count).strip() == text.strip()


def test_hyperparameters_are_written_though_nothing_was_logged(tmp_path):
    pytest.importorskip("tensorboard")
    logger = pl.loggers.TensorBoardLogger(tmp_path)
    fit(Line(), loader(), logger=logger, enable_checkpointing=True)
    assert "hparams.yaml" in os.listdir(logger.log_dir)


def test_is_overridden():
    class Own(pl.Callback):
        def on_fit_start(self, trainer, pl_module):
            pass

    assert is_overridden(method_name="training_step", instance=Line()) and not is_overridden("on_fit_start")
    assert is_overridden("on_fit_start", Own()) and not is_overridden("on_fit_end", Own())
    with pytest.raises(ValueError, match="Expected a parent"):
        is_overridden("on_fit_start", object())


class ByHand(Line):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def configure_optimizers(self):
        optimizer = super().configure_optimizers()
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "loss"}}

    def training_step(self, batch, batch_idx):
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(super().training_step(batch, batch_idx))
        optimizer.step()


def test_what_manual_optimization_refuses_and_ignores():
    with pytest.raises(
        MisconfigurationException, match=r"clipping is not .*gradient_clip_val=1.0\)` or switch"
    ):
        fit(ByHand(), loader(), gradient_clip_val=1.0)
    with pytest.raises(
        MisconfigurationException, match=r"accumulation is not .*accumulate_grad_batches=2\)` or"
    ):
        fit(ByHand(), loader(), accumulate_grad_batches=2)
    with pytest.warns(
        RuntimeWarning, match=r"contains the key\(s\) \['monitor'\], but the keys will be ignored"
    ):
        assert fit(ByHand(), loader()).global_step == 5


class OtherScheduler:
    def __init__(self):
        self.epochs = []

    def step(self, epoch):
        self.epochs.append(epoch)

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def test_schedulers_of_others_need_the_hook():
    class Scheduled(Line):
        def configure_optimizers(self):
            self.scheduler = OtherScheduler()
            return [super().configure_optimizers()], [self.scheduler]

    class Stepped(Scheduled):
        def lr_scheduler_step(self, scheduler, metric):
            scheduler.step(epoch=self.current_epoch)

    with pytest.raises(
        MisconfigurationException, match="`OtherScheduler` doesn't follow PyTorch's LRScheduler API"
    ):
        fit(Scheduled(), loader())
    model = Stepped()
    fit(model, loader(), max_epochs=2)
    assert model.scheduler.epochs == [0, 1]


def test_a_datamodule_stays_though_others_loaders_are_given():
    class Data(pl.LightningDataModule):
        def __init__(self):
            super().__init__()
            self.stages = []

        def setup(self, stage):
            self.stages.append(str(stage.value))

        def train_dataloader(self):
            return loader()

        val_dataloader = train_dataloader

    dm = Data()
    trainer = pl.Trainer(max_epochs=1, **QUIET)
    trainer.fit(Checked(), datamodule=dm)
    trainer.validate(Checked(), loader(8), verbose=False)
    assert trainer.datamodule is dm and dm.stages == ["fit", "validate"]
    assert trainer.num_val_batches == [2]
    with pytest.raises(
        MisconfigurationException, match=r"both `trainer.test\(dataloaders=..., datamodule=...\)`"
    ):
        trainer.test(Checked(), loader(), datamodule=dm)


def test_experiments_are_made_before_setup(tmp_path):
    class Looking(Line):
        def setup(self, stage):
            self.found = os.path.isdir(self.trainer.log_dir)

    model = Looking()
    fit(model, loader(), logger=pl.loggers.CSVLogger(tmp_path))
    assert model.found


def test_total_steps_are_said_to_load(caplog):
    class Asking(Line):
        def configure_optimizers(self):
            self.total = self.trainer.estimated_stepping_batches
            return super().configure_optimizers()

    model = Asking()
    with caplog.at_level("INFO"):
        fit(model, loader())
    assert (
        model.total == 5
        and "Loading `train_dataloader` to estimate number of stepping batches." in caplog.text
    )
