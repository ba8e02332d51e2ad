"""Averages of weights, and names of services that are absent."""

import pytest

import rushlight as torch
from rushlight import lightning as pl
from rushlight.lightning.demos import BoringModel


def fitted(tmp_path, callback, **options):
    torch.manual_seed(0)
    model = BoringModel()
    trainer = pl.Trainer(
        callbacks=callback, max_epochs=1, limit_train_batches=3, limit_val_batches=1, logger=False,
        default_root_dir=tmp_path, enable_progress_bar=False, enable_model_summary=False, **options,
    )  # fmt: skip
    return trainer, model


def test_moving_average(tmp_path):
    seen = []

    class Keep(pl.Callback):
        def on_train_batch_end(self, trainer, module, *rest):
            seen.append(module.layer.weight.detach().clone())

    trainer, model = fitted(tmp_path, [Keep(), pl.callbacks.EMAWeightAveraging(decay=0.5)])
    first = model.layer.weight.detach().clone()
    trainer.fit(model)
    expected = seen[0]  # the first update takes the weights as they are
    for weight in seen[1:]:
        expected = expected + (weight - expected) * 0.5
    assert not torch.equal(first, expected)
    torch.testing.assert_close(model.layer.weight.detach(), expected)
    saved = torch.load(trainer.checkpoint_callback.best_model_path, weights_only=False)
    torch.testing.assert_close(saved["state_dict"]["layer.weight"], expected)
    torch.testing.assert_close(saved["current_model_state"]["layer.weight"], seen[-1])
    again, model = fitted(tmp_path, pl.callbacks.EMAWeightAveraging(decay=0.5, update_starting_at_epoch=9))
    again.fit_loop.max_epochs = 1
    again.fit(model, ckpt_path=trainer.checkpoint_callback.best_model_path)
    torch.testing.assert_close(model.layer.weight.detach(), expected)


@pytest.mark.parametrize("kind", ["loggers.WandbLogger", "callbacks.ModelPruning"])
def test_absent(kind):
    module, name = kind.split(".")
    with pytest.raises(NotImplementedError, match="not here"):
        getattr(getattr(pl, module), name)(project="x")
