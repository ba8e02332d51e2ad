"""Fabric: a loop of one's own gives what a plain loop gives."""

import csv

import pytest

import rushlight as torch
from rushlight import nn
from rushlight.lightning import Fabric, LightningModule
from rushlight.lightning.fabric import is_wrapped
from rushlight.lightning.fabric.loggers import CSVLogger
from rushlight.utils.data import DataLoader, TensorDataset


def data():
    generator = torch.Generator().manual_seed(1)
    return TensorDataset(torch.randn(24, 4, generator=generator), torch.randn(24, 1, generator=generator))


def trained(fabric):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    loader = DataLoader(data(), 8)
    if fabric:
        model, optimizer = fabric.setup(model, optimizer)
        loader = fabric.setup_dataloaders(loader)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    for _ in range(3):
        for x, y in loader:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            fabric.backward(loss) if fabric else loss.backward()
            optimizer.step()
        scheduler.step()
    return model, optimizer, loader


def test_loop():
    plain, plain_optimizer, _ = trained(None)
    fabric = Fabric(accelerator="auto", strategy="ddp", devices=1)
    fabric.launch()
    model, optimizer, loader = trained(fabric)
    assert list(model.state_dict()) == list(plain.state_dict())
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert optimizer.param_groups[0]["lr"] == plain_optimizer.param_groups[0]["lr"] == 0.025
    assert isinstance(optimizer, torch.optim.Adam) and type(optimizer).__name__ == "FabricAdam"
    assert all(map(is_wrapped, (model, optimizer, loader))) and len(loader) == 3 and loader.batch_size == 8
    assert not model.eval().training and not model.module.training
    model.new = 3
    assert model.module.new == 3


def test_saving(tmp_path):
    fabric = Fabric()
    model, optimizer, _ = trained(fabric)
    state = {"model": model, "optimizer": optimizer, "epoch": 3, "extra": [1]}
    fabric.save(tmp_path / "a.ckpt", state, filter={"model": lambda key, value: key.startswith("2")})
    raw = torch.load(tmp_path / "a.ckpt")
    assert list(raw["model"]) == ["2.weight", "2.bias"] and raw["epoch"] == 3
    fabric.save(tmp_path / "b.ckpt", state)
    before = model.module[0].weight.detach().clone()
    with torch.no_grad():
        model.module[0].weight.zero_()
    target = {"model": model, "optimizer": optimizer, "epoch": 0}
    assert fabric.load(tmp_path / "b.ckpt", target) == {"extra": [1]}
    assert target["epoch"] == 3 and torch.equal(model.module[0].weight, before)
    with pytest.raises(KeyError, match="does not exist in the loaded checkpoint"):
        fabric.load(tmp_path / "b.ckpt", {"nothing": 1})
    torch.save(model.state_dict(), tmp_path / "c.pt")
    fabric.load_raw(tmp_path / "c.pt", model)


@pytest.mark.parametrize(
    ("precision", "weights", "inside"),
    [
        ("32-true", torch.float32, torch.float32), ("64-true", torch.float64, torch.float64),
        ("bf16-true", torch.bfloat16, torch.bfloat16), ("bf16-mixed", torch.float32, torch.bfloat16),
    ],
)  # fmt: skip
def test_precision(precision, weights, inside):
    seen = []

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x):
            seen.extend([self.layer(x).dtype, torch.zeros(1).dtype])
            return self.layer(x)

    fabric = Fabric(precision=precision)
    model = fabric.setup(Net())
    assert model.module.layer.weight.dtype == weights
    assert model(torch.ones(1, 2)).dtype == torch.float32  # outputs come back in the default type
    assert seen == [inside, torch.float32 if precision == "bf16-mixed" else weights]
    with fabric.init_module():
        assert nn.Linear(1, 1).weight.dtype == weights


def test_lightning_module(tmp_path):
    """A LightningModule logs, steps and is called back through Fabric."""
    called = []

    class Net(LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 1)
            self.automatic_optimization = False

        def training_step(self, batch, batch_idx):
            loss = nn.functional.mse_loss(self.layer(batch[0]), batch[1])
            self.optimizers().zero_grad()
            self.manual_backward(loss)
            self.clip_gradients(self.optimizers(), 0.1)
            self.optimizers().step()
            self.log("loss", loss)
            return loss

        def on_train_epoch_end(self):
            called.append(self.trainer.world_size)

    logger = CSVLogger(tmp_path, flush_logs_every_n_steps=2)
    fabric = Fabric(loggers=logger)
    module = Net()
    model, _ = fabric.setup(module, torch.optim.SGD(module.parameters(), lr=0.1))
    for index, batch in enumerate(fabric.setup_dataloaders(DataLoader(data(), 6))):
        model.training_step(batch, index)
    fabric.call("on_train_epoch_end")
    assert called == [1] and module.fabric is fabric and module.logger is logger
    with open(f"{logger.log_dir}/metrics.csv", newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["0", "1", "2", "3"]
    with pytest.raises(AttributeError, match="not available when using Fabric"):
        _ = module.trainer.callback_metrics


def test_hooks_and_collectives():
    heard = []

    class Listener:
        not_callable = 1

        def on_epoch(self, epoch, loss=None):
            heard.append((epoch, loss))

        def on_after_optimizer_step(self, strategy, optimizer):
            heard.append(type(optimizer).__name__)

    fabric = Fabric(callbacks=Listener())
    fabric.call("on_epoch", 1, loss=2.0, unknown=3)
    fabric.call("nothing")
    with pytest.warns(UserWarning, match="not callable"):
        fabric.call("not_callable")
    weight = nn.Parameter(torch.ones(1))
    weight.grad = torch.ones(1)
    fabric.setup_optimizers(torch.optim.SGD([weight], lr=0.1)).step()
    assert heard == [(1, 2.0), "SGD"]
    gathered = fabric.all_gather({"a": 1.5, "b": [torch.ones(2)]})
    assert torch.is_tensor(gathered["a"]) and gathered["b"][0].shape == (2,)
    assert fabric.broadcast("x") == "x" and fabric.all_reduce(2.0) == 2
    assert fabric.launch(lambda f, n: (f is fabric, n), 5) == (True, 5)
    with fabric.rank_zero_first(), fabric.autocast(), fabric.init_tensor():
        fabric.barrier()


def test_errors():
    fabric = Fabric()
    layer = nn.Linear(1, 1)
    model, optimizer = fabric.setup(layer, torch.optim.SGD(layer.parameters(), lr=0.1))
    loader = fabric.setup_dataloaders(DataLoader([1]))
    with pytest.raises(ValueError, match="model should be passed only once"):
        fabric.setup(model)
    with pytest.raises(ValueError, match="optimizer should be passed only once"):
        fabric.setup_optimizers(optimizer)
    with pytest.raises(ValueError, match="dataloader should be passed only once"):
        fabric.setup_dataloaders(loader)
    with pytest.raises(TypeError, match="Only PyTorch DataLoader"):
        fabric.setup_dataloaders([1])
    with pytest.raises(ValueError, match="either `clip_val` or `max_norm`"):
        fabric.clip_gradients(model, optimizer)
    with pytest.raises(TypeError, match="set up the model first"):
        fabric.no_backward_sync(layer)
    with pytest.raises(TypeError, match="at least one argument"):
        fabric.launch(lambda: None)
    with pytest.raises(Exception, match=r"Fabric\(devices=2"):
        Fabric(devices=2)
