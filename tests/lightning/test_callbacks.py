"""Callbacks, loggers and checkpoints. Expected values are Lightning 2.6's."""

import os

import pytest

import rushlight as torch
from rushlight import lightning as pl
from rushlight import nn
from rushlight.lightning import callbacks as cb
from rushlight.lightning.utilities.exceptions import MisconfigurationException
from tests.lightning.models import QUIET, Checked, Line, loader


class Scripted(Line):
    """Logs given validation losses."""

    def __init__(self, losses=()):
        super().__init__()
        self.losses = losses

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.losses[self.current_epoch])


def trainer(callbacks, **kwargs):
    options = {**QUIET, **kwargs}
    if any(isinstance(c, cb.ModelCheckpoint) for c in callbacks):
        options.pop("enable_checkpointing")
    return pl.Trainer(callbacks=callbacks, num_sanity_val_steps=0, **options)


# arguments, losses, epochs that are run
STOPPING = [
    ({"patience": 2}, [3, 2, 2, 2, 1], 4),
    ({"patience": 2, "mode": "max"}, [1, 2, 3, 4, 5], 5),
    ({"patience": 1, "min_delta": 0.5}, [3, 2.8, 1, 1, 1], 2),
    ({"stopping_threshold": 1.5}, [3, 2, 1, 0, 0], 3),
    ({"divergence_threshold": 5.0}, [3, 6, 1, 0, 0], 2),
    ({}, [3, float("nan"), 1, 0, 0], 2),
]


@pytest.mark.parametrize("number", range(len(STOPPING)))
def test_early_stopping(number):
    arguments, losses, epochs = STOPPING[number]
    run = trainer([cb.EarlyStopping("val_loss", **arguments)], max_epochs=5)
    run.fit(Scripted([float(loss) for loss in losses]), loader(), loader(4))
    assert run.current_epoch == epochs
    assert run.early_stopping_callback.stopped_epoch == (epochs - 1 if epochs < 5 else 0)


# arguments, files that are left
SAVING = [
    ({}, ["epoch=3-step=20.ckpt"]),
    ({"save_top_k": -1}, [f"epoch={e}-step={5 * e + 5}.ckpt" for e in range(4)]),
    ({"monitor": "val_loss", "save_top_k": 2}, ["epoch=1-step=10.ckpt", "epoch=3-step=20.ckpt"]),
    (
        {"monitor": "val_loss", "mode": "max", "filename": "{epoch:02d}-{val_loss:.1f}"},
        ["epoch=00-val_loss=4.0.ckpt"],
    ),
    ({"monitor": "val_loss", "filename": "best", "auto_insert_metric_name": False}, ["best.ckpt"]),
    ({"save_top_k": 0, "save_last": True}, ["last.ckpt"]),
    ({"every_n_train_steps": 8, "save_top_k": -1}, ["epoch=1-step=8.ckpt", "epoch=3-step=16.ckpt"]),
    ({"every_n_epochs": 3, "save_top_k": -1}, ["epoch=2-step=15.ckpt"]),
    ({"save_last": "link"}, ["epoch=3-step=20.ckpt", "last.ckpt"]),
]


@pytest.mark.parametrize("number", range(len(SAVING)))
def test_model_checkpoint(tmp_path, number):
    arguments, files = SAVING[number]
    checkpoint = cb.ModelCheckpoint(tmp_path, **arguments)
    run = trainer([checkpoint], max_epochs=4)
    model = Scripted([4.0, 2.0, 3.0, 1.0])
    run.fit(model, loader(), loader(4))
    assert sorted(os.listdir(tmp_path)) == files
    if checkpoint.best_model_path:
        loaded = Line.load_from_checkpoint(checkpoint.best_model_path)
        assert loaded.hparams.lr == 0.1
    if arguments.get("monitor"):
        assert checkpoint.best_model_score == (4.0 if arguments.get("mode") else 1.0)
    if arguments.get("save_last") == "link":
        assert os.readlink(tmp_path / "last.ckpt") == "epoch=3-step=20.ckpt"


def test_checkpoint_has_lightnings_keys(tmp_path):
    run = trainer([cb.ModelCheckpoint(tmp_path, save_last=True)], max_epochs=1)
    run.fit(Line(), loader())
    checkpoint = torch.load(tmp_path / "last.ckpt")  # holds nothing but data
    assert set(checkpoint) >= {
        "state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step", "hyper_parameters", "callbacks",
        "loops", "pytorch-lightning_version",
    }  # fmt: skip
    fit = checkpoint["loops"]["fit_loop"]
    assert fit["epoch_progress"]["current"] == {"ready": 1, "completed": 0, "started": 1, "processed": 1}
    assert (
        fit["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"]["total"]["completed"]
        == 5
    )
    del checkpoint["rushlight"]  # as Lightning writes them
    torch.save(checkpoint, tmp_path / "theirs.ckpt")
    run = trainer([cb.ModelCheckpoint(tmp_path / "other")], max_epochs=3)
    with pytest.warns(UserWarning, match="dirpath has changed"):
        run.fit(Line(), loader(), ckpt_path=tmp_path / "theirs.ckpt")
    assert run.current_epoch == 3 and run.global_step == 15


def test_schedules(tmp_path):
    accumulation = cb.GradientAccumulationScheduler({0: 5, 2: 1})
    run = trainer([accumulation], max_epochs=3)
    run.fit(Line(), loader())
    assert run.global_step == 1 + 1 + 5

    class Scheduled(Line):
        def configure_optimizers(self):
            optimizer = super().configure_optimizers()
            return [optimizer], [
                {"scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5), "name": "rate"}
            ]

    monitor = cb.LearningRateMonitor()
    run = trainer([monitor], max_epochs=3, logger=pl.loggers.CSVLogger(tmp_path))
    run.fit(Scheduled(), loader())
    assert monitor.lrs == {"rate": [0.1, 0.05, 0.025]}
    timer = cb.Timer()
    trainer([timer], max_epochs=1).fit(Line(), loader())
    assert 0 < timer.time_elapsed("train") < 60 and timer.time_remaining() is None


@pytest.mark.filterwarnings("ignore:The provided params")  # those of batch normalization learn from the start
def test_weight_averaging_and_finetuning():
    class Normed(Line):
        def __init__(self):
            super().__init__()
            self.backbone = nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))

        def forward(self, x):
            return self.layer(self.backbone(x))

        def configure_optimizers(self):
            return torch.optim.SGD([p for p in self.parameters() if p.requires_grad], 0.1)

    weights = []
    keep = cb.LambdaCallback(
        on_train_epoch_start=lambda t, m: weights.append(m.layer.weight.detach().clone())
    )
    torch.manual_seed(0)
    model = Normed()
    average = cb.StochasticWeightAveraging(0.01, swa_epoch_start=2, annealing_epochs=1)
    trainer([keep, average], max_epochs=4).fit(model, loader())
    torch.testing.assert_close(model.layer.weight.detach(), torch.stack(weights[1:]).mean(0))
    x = model.backbone[0](next(iter(loader(20, 20)))[0])
    torch.testing.assert_close(model.backbone[1].running_mean, x.mean(0).detach())
    model = Normed()
    run = trainer([cb.BackboneFinetuning(2)], max_epochs=4)
    seen = []
    run.callbacks.append(
        cb.LambdaCallback(on_train_epoch_end=lambda t, m: seen.append(m.backbone[0].weight.requires_grad))
    )
    run.fit(model, loader())
    assert seen == [False, False, True, True]
    assert [g["lr"] for g in run.optimizers[0].param_groups] == pytest.approx([0.1, 0.02])
    with pytest.raises(MisconfigurationException, match="backbone"):
        trainer([cb.BackboneFinetuning()], max_epochs=1).fit(Line(), loader())


def test_finders_in_a_run():
    class Found(Line):
        def __init__(self):
            super().__init__()
            self.batch_size = 2

        def train_dataloader(self):
            return loader(20, self.batch_size)

    model = Found()
    run = trainer(
        [
            cb.BatchSizeFinder(max_val=8),
            cb.LearningRateFinder(num_training_steps=30, early_stop_threshold=None),
        ],
        max_epochs=1,
    )
    run.fit(model)
    assert model.batch_size == 8 and run.global_step == 3
    rate = run.callbacks[1].optimal_lr.suggestion()
    assert model.hparams.lr == rate == run.optimizers[0].param_groups[0]["lr"]


def test_bars_and_summary(capsys, caplog):
    options = {k: v for k, v in QUIET.items() if k not in ("enable_progress_bar", "enable_model_summary")}
    model = Checked()
    model.example_input_array = torch.zeros(2, 1)
    pl.Trainer(max_epochs=1, callbacks=[cb.PlainProgressBar()], **options).fit(model, loader(), loader())
    assert "Epoch 0: " in capsys.readouterr().out
    pytest.importorskip("tqdm")
    pl.Trainer(max_epochs=1, callbacks=[cb.TQDMProgressBar(refresh_rate=2)], **options).fit(
        model, loader(), loader()
    )
    output = capsys.readouterr().out
    assert "Epoch 0: 100%" in output and "loss_epoch=" in output and "5/5" in output
