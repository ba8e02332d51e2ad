"""The Trainer: the order of hooks, what is logged, limits, optimizers, data. Expected values are Lightning 2.6's."""

import copy
import random

import numpy as np
import pytest

import rushlight as torch
from rushlight import lightning as pl
from rushlight import nn
from rushlight.lightning import callbacks as cb
from rushlight.lightning.callbacks.callback import HOOKS
from rushlight.lightning.core.hooks import ModelHooks
from tests.lightning.models import QUIET, Checked, Line, loader

BATCH = ["on_train_batch_start", "optimizer_step", "training_step", "on_before_zero_grad", "optimizer_zero_grad",
         "on_before_backward", "backward", "on_after_backward", "on_before_optimizer_step",
         "configure_gradient_clipping", "on_train_batch_end"]  # fmt: skip
VALIDATION = ["on_validation_model_eval", "on_validation_start", "on_validation_epoch_start",
              *["on_validation_batch_start", "validation_step", "on_validation_batch_end"] * 2,
              "on_validation_epoch_end", "on_validation_end", "on_validation_model_train"]  # fmt: skip
FIT = ["configure_callbacks", "prepare_data", "setup", "configure_model", "configure_optimizers", "on_fit_start",
       "on_sanity_check_start", *VALIDATION, "on_sanity_check_end", "on_train_start", "on_train_epoch_start",
       *BATCH, *BATCH[:-1], "lr_scheduler_step", BATCH[-1], "on_validation_model_zero_grad", *VALIDATION,
       "on_train_epoch_end", "on_train_end", "on_fit_end", "teardown"]  # fmt: skip
OF_CALLBACKS = {*HOOKS}


def traced(cls, names, order):
    def method(name):
        def call(self, *args, **kwargs):
            order.append((cls.__name__, name))
            return getattr(super(subclass, self), name)(*args, **kwargs)

        return call

    subclass = type(f"Traced{cls.__name__}", (cls,), {name: method(name) for name in names})
    return subclass


def test_order_of_hooks():
    order = []
    of_model = {n for n in vars(ModelHooks) if n.startswith("on_")} | {n for n in FIT if hasattr(Checked, n)}

    class Scheduled(Checked):
        def configure_optimizers(self):
            optimizer = super().configure_optimizers()
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]

    model = traced(Scheduled, of_model, order)()
    callback = traced(pl.Callback, OF_CALLBACKS, order)()
    trainer = pl.Trainer(max_epochs=1, gradient_clip_val=1.0, callbacks=[callback], **QUIET)
    trainer.fit(model, loader(8), loader(8))
    expected = []
    for name in FIT:
        owners = ("Callback", "Scheduled") if name in OF_CALLBACKS else ("Scheduled",)
        owners = ("Callback",) if "sanity" in name else owners
        expected += [(owner, name) for owner in owners]
    assert order == expected


def test_logging_and_steps(tmp_path):
    torch.manual_seed(0)
    model = Checked(lr=0.0)
    trainer = pl.Trainer(
        max_epochs=2, **{**QUIET, "logger": pl.loggers.CSVLogger(tmp_path), "log_every_n_steps": 2}
    )
    trainer.fit(model, loader(20), [loader(8), loader(10)])
    assert set(trainer.callback_metrics) == {
        "loss", "loss_step", "loss_epoch", "val_loss/dataloader_idx_0", "val_loss/dataloader_idx_1"
    }  # fmt: skip
    assert set(trainer.progress_bar_metrics) == {"loss_step", "loss_epoch"}
    ((x, y),) = [next(iter(loader(20, 20)))]
    whole = nn.functional.mse_loss(model(x), y)
    torch.testing.assert_close(trainer.callback_metrics["loss_epoch"], whole.detach())
    (path,) = tmp_path.rglob("metrics.csv")
    rows = [line.split(",") for line in path.read_text().splitlines()]
    head = rows[0]
    assert head == [
        "epoch",
        "loss_epoch",
        "loss_step",
        "step",
        "val_loss/dataloader_idx_0",
        "val_loss/dataloader_idx_1",
    ]
    rows = [dict(zip(head, row, strict=True)) for row in rows[1:]]
    steps = [
        (int(r.pop("epoch")), int(r.pop("step")), next(name for name, value in r.items() if value))
        for r in rows
    ]
    assert steps == [
        (0, 1, "loss_step"), (0, 3, "loss_step"), (0, 4, "val_loss/dataloader_idx_0"), (0, 4, "loss_epoch"),
        (1, 5, "loss_step"), (1, 7, "loss_step"), (1, 9, "loss_step"), (1, 9, "val_loss/dataloader_idx_0"), (1, 9, "loss_epoch"),
    ]  # fmt: skip
    assert path.with_name("hparams.yaml").read_text() == "lr: 0.0\n"


# options, global_step, current_epoch, validations (without those of the sanity check)
LIMITS = [
    ({"max_epochs": 2}, 10, 2, 2),
    ({"max_steps": 7}, 7, 2, 1),
    ({"max_epochs": 2, "limit_train_batches": 3}, 6, 2, 2),
    ({"max_epochs": 2, "limit_train_batches": 0.5}, 4, 2, 2),
    ({"max_epochs": 2, "accumulate_grad_batches": 2}, 6, 2, 2),
    ({"max_epochs": 2, "val_check_interval": 2}, 10, 2, 4),
    ({"max_epochs": 2, "val_check_interval": 0.4}, 10, 2, 4),
    ({"max_epochs": 4, "check_val_every_n_epoch": 2}, 20, 4, 2),
    ({"max_epochs": 3, "check_val_every_n_epoch": None, "val_check_interval": 4}, 15, 3, 3),
    ({"max_epochs": 2, "limit_val_batches": 0}, 10, 2, 0),
    ({"max_epochs": 2, "overfit_batches": 2}, 4, 2, 2),
    ({"fast_dev_run": 3}, 3, 1, 1),
    ({"max_epochs": 0}, 0, 0, 0),
    ({"max_epochs": 9, "max_time": "00:00:00:00"}, 0, 0, 0),
]


@pytest.mark.parametrize("number", range(len(LIMITS)))
def test_limits(number):
    options, steps, epochs, validations = LIMITS[number]
    count = []
    counter = cb.LambdaCallback(on_validation_end=lambda t, m: count.append(t.sanity_checking))
    trainer = pl.Trainer(callbacks=[counter], **{**QUIET, **options})
    trainer.fit(Checked(), loader(), loader())
    assert (trainer.global_step, trainer.current_epoch, count.count(False)) == (steps, epochs, validations)


def test_agrees_with_a_plain_loop():
    torch.manual_seed(3)
    model = Line()
    plain = copy.deepcopy(model)
    torch.manual_seed(4)
    pl.Trainer(max_epochs=3, gradient_clip_val=0.5, **QUIET).fit(model, loader(shuffle=True))
    torch.manual_seed(4)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    for _ in range(3):
        for x, y in loader(shuffle=True):
            optimizer.zero_grad()
            nn.functional.mse_loss(plain(x), y).backward()
            nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
            optimizer.step()
    assert torch.equal(model.layer.weight, plain.layer.weight)


def scheduler(optimizer):
    return torch.optim.lr_scheduler.StepLR(optimizer, 1)


FORMS = [
    lambda o: o, lambda o: [o], lambda o: (o,), lambda o: ([o], [scheduler(o)]), lambda o: ([o], scheduler(o)),
    lambda o: {"optimizer": o}, lambda o: {"optimizer": o, "lr_scheduler": scheduler(o)},
    lambda o: {"optimizer": o, "lr_scheduler": {"scheduler": scheduler(o), "interval": "step", "frequency": 2}},
    lambda o: [{"optimizer": o, "lr_scheduler": scheduler(o)}],
    lambda o: {"optimizer": o, "lr_scheduler": torch.optim.lr_scheduler.ReduceLROnPlateau(o), "monitor": "loss"},
    lambda o: None,
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(FORMS)))
@pytest.mark.filterwarnings("ignore:.*returned `None`")
def test_forms_of_configure_optimizers(number):
    class Model(Line):
        def configure_optimizers(self):
            return FORMS[number](super().configure_optimizers())

    trainer = pl.Trainer(max_epochs=2, **QUIET)
    trainer.fit(Model(), loader())
    assert len(trainer.optimizers) == (number != 10)
    rates = {3: 1e-3, 4: 1e-3, 6: 1e-3, 7: 1e-5, 8: 1e-3}
    if trainer.optimizers:
        assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(rates.get(number, 0.1))


class Manual(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.a, self.b = nn.Linear(1, 1), nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        first, second = self.optimizers()
        assert isinstance(first, torch.optim.Adam)
        with self.toggled_optimizer(first):
            assert not self.b.weight.requires_grad
            first.zero_grad()
            self.manual_backward(nn.functional.mse_loss(self.b(self.a(batch[0])), batch[1]))
            first.step()
        assert self.b.weight.requires_grad
        second.zero_grad()
        self.manual_backward(self.b(batch[0]).square().mean())
        second.step()
        self.lr_schedulers().step()

    def configure_optimizers(self):
        first = torch.optim.Adam(self.a.parameters(), 0.1)
        return [first, torch.optim.SGD(self.b.parameters(), 0.1)], [
            torch.optim.lr_scheduler.ExponentialLR(first, 0.5)
        ]


def test_manual_optimization():
    trainer = pl.Trainer(max_epochs=2, **QUIET)
    trainer.fit(Manual(), loader())
    assert trainer.global_step == 20
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.1 * 0.5**10)


def test_hooks_of_lightning_1():
    seen = {}

    class Old(Line):
        def training_epoch_end(self, outputs):
            seen["train"] = [sorted(output) for output in outputs]
            self.log("mean", torch.stack([output["loss"] for output in outputs]).mean())

        def validation_step(self, batch, batch_idx):
            return {"n": len(batch[0])}

        def validation_epoch_end(self, outputs):
            seen["val"] = sum(output["n"] for output in outputs)
            self.log("val_n", float(seen["val"]))

        def test_step(self, batch, batch_idx, dataloader_idx):
            return dataloader_idx

        def test_epoch_end(self, outputs):
            seen["test"] = outputs

        def on_epoch_start(self):
            seen["epochs"] = seen.get("epochs", 0) + 1

        def optimizer_step(
            self, epoch, batch_idx, optimizer, optimizer_idx, optimizer_closure, on_tpu, using_lbfgs
        ):
            seen["idx"] = optimizer_idx
            optimizer.step(closure=optimizer_closure)

    class Watching(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx):
            seen["loader"] = dataloader_idx

    with pytest.warns(DeprecationWarning, match="terminate_on_nan"):
        trainer = pl.Trainer(max_epochs=1, gpus=0, terminate_on_nan=False, callbacks=[Watching()], **QUIET)
    trainer.fit(Old(), loader(), loader())
    trainer.test(trainer.model, loader(), verbose=False)
    assert seen["train"] == [["loss"]] * 5 and seen["val"] == 20 and seen["test"] == [0] * 5
    assert seen["idx"] == 0 and seen["loader"] == 0 and seen["epochs"] >= 3
    two = Line()
    two.training_step = lambda batch, batch_idx, optimizer_idx: two(batch[0]).sum() * optimizer_idx
    two.configure_optimizers = lambda: [torch.optim.SGD(two.parameters(), 0.1) for _ in range(2)]
    trainer = pl.Trainer(max_epochs=1, **QUIET)
    trainer.fit(two, loader())
    assert trainer.global_step == 10


def test_datamodule_and_evaluation(capsys):
    class Data(pl.LightningDataModule):
        def __init__(self, size=4):
            super().__init__()
            self.save_hyperparameters()
            self.calls = []

        def prepare_data(self):
            self.calls.append("prepare")

        def setup(self, stage):
            self.calls.append(stage)

        def train_dataloader(self):
            return loader(batch_size=self.hparams.size)

        val_dataloader = test_dataloader = predict_dataloader = train_dataloader

    data, model = Data(5), Checked()
    trainer = pl.Trainer(max_epochs=1, **QUIET)
    trainer.fit(model, data)
    assert trainer.num_training_batches == 4 and trainer.train_dataloader.batch_size == 5
    (metrics,) = trainer.validate(model, data)
    assert "val_loss" in capsys.readouterr().out and isinstance(metrics["val_loss"], float)
    assert trainer.test(model, datamodule=data, verbose=False)[0]["sum"] == pytest.approx(0, abs=1e-5)
    assert torch.cat(trainer.predict(model, data)).shape == (20, 1)
    assert trainer.predict(model, data, return_predictions=False) is None
    assert (
        data.calls
        == ["prepare", "fit", "prepare", "validate", "prepare", "test"] + ["prepare", "predict"] * 2
    )
    assert len(trainer.predict(model, [loader(), loader(8)])[1]) == 2
    assert model.training and trainer.state.finished


def test_combined_training_loaders():
    class Model(Line):
        def training_step(self, batch, batch_idx):
            self.sizes.append((len(batch["a"][0]), len(batch["b"][0])))
            return self(batch["a"][0]).sum()

    model = Model()
    model.sizes = []
    pl.Trainer(max_epochs=1, **QUIET).fit(model, {"a": loader(20), "b": loader(8, 2)})
    assert model.sizes == [(4, 2)] * 5


def test_precision():
    for precision, dtype in (
        ("64-true", torch.float64),
        ("bf16-true", torch.bfloat16),
        ("bf16-mixed", torch.float32),
    ):
        model = Line()
        seen = []
        model.layer.register_forward_hook(lambda m, a, out, seen=seen: seen.append(out.dtype))
        pl.Trainer(max_epochs=1, precision=precision, **QUIET).fit(model, loader())
        assert model.layer.weight.dtype is dtype
        assert seen[0] is (torch.bfloat16 if "bf16" in precision else dtype)


def test_hyperparameters():
    class Base(pl.LightningModule):
        def __init__(self, a, b=2, *args, c=3, **kwargs):
            super().__init__()
            self.save_hyperparameters(ignore="b")

    class Child(Base):
        def __init__(self, z, **kwargs):
            super().__init__(z, **kwargs)
            self.save_hyperparameters()

    class Whole(pl.LightningModule):
        def __init__(self, config, x=1):
            super().__init__()
            self.save_hyperparameters(config)

    assert dict(Base(1, c=5, d=6).hparams) == {"a": 1, "c": 5, "d": 6}
    assert Child(9, q=1).hparams["z"] == 9
    assert Whole({"lr": 1}).hparams.lr == 1
    model = Whole({"lr": 1})
    model.hparams.lr = 2
    assert model.hparams_initial.lr == 1


def test_lr_find_leaves_everything_alone(tmp_path):
    class Model(Line):
        def train_dataloader(self):
            return self.given

    model = Model()
    generator = torch.Generator().manual_seed(1)
    train = loader(shuffle=True, generator=generator)
    pl.seed_everything(1, verbose=False)
    before = (
        copy.deepcopy(model.state_dict()),
        generator.get_state(),
        torch.get_rng_state(),
        random.getstate(),
    )
    numpy_before = np.random.get_state()[1].copy()
    finder = pl.tuner.Tuner(pl.Trainer(**QUIET)).lr_find(
        model, train, num_training=40, update_attr=False, min_lr=1e-4, early_stop_threshold=None
    )
    for a, b in zip(before[0].values(), model.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(before[1], generator.get_state()) and torch.equal(before[2], torch.get_rng_state())
    assert before[3] == random.getstate() and (numpy_before == np.random.get_state()[1]).all()
    assert model._trainer is None and model.hparams.lr == 0.1
    assert len(finder.results["lr"]) == 40 and finder.results["lr"][0] == 1e-4
    assert set(finder.suggestions()) == {"steepest", "valley", "minimum/10"}
    assert all(1e-5 <= rate <= 1 for rate in finder.suggestions().values())
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    finder.plot(suggest=True).savefig(tmp_path / "lr.png")
    assert (tmp_path / "lr.png").stat().st_size > 1000


def test_scale_batch_size():
    class Model(Line):
        def __init__(self):
            super().__init__()
            self.batch_size = 2

        def train_dataloader(self):
            return loader(20, self.batch_size)

    model = Model()
    assert pl.tuner.Tuner(pl.Trainer(**QUIET)).scale_batch_size(model) == model.batch_size == 32
    assert model._trainer is None
