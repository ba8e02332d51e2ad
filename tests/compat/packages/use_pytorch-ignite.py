"""Engines with handlers, metrics, evaluators, schedulers, checkpoints and early stopping."""

import tempfile

import torch
from ignite.engine import Engine, Events, create_supervised_evaluator, create_supervised_trainer
from ignite.handlers import (
    Checkpoint,
    CosineAnnealingScheduler,
    EarlyStopping,
    EMAHandler,
    ModelCheckpoint,
    TerminateOnNan,
    Timer,
    global_step_from_engine,
)  # fmt: skip
from ignite.metrics import (
    PSNR,
    SSIM,
    Accuracy,
    ConfusionMatrix,
    Fbeta,
    IoU,
    Loss,
    MeanAbsoluteError,
    Precision,
    Recall,
    RootMeanSquaredError,
    RunningAverage,
    TopKCategoricalAccuracy,
)  # fmt: skip
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(256, 10)
y = (x @ torch.randn(10, 3)).argmax(1)
train = DataLoader(TensorDataset(x[:192], y[:192]), batch_size=32, shuffle=True)
valid = DataLoader(TensorDataset(x[192:], y[192:]), batch_size=32)
model = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
criterion = nn.CrossEntropyLoss()
trainer = create_supervised_trainer(model, optimizer, criterion, device="cpu")
precision, recall = Precision(average=False), Recall(average=False)
matrix = ConfusionMatrix(3)
metrics = {
    "accuracy": Accuracy(), "loss": Loss(criterion), "precision": precision, "recall": recall, "top2": TopKCategoricalAccuracy(2),
    "f1": Fbeta(1.0, precision=precision, recall=recall), "mean_f1": (precision * recall * 2 / (precision + recall)).mean(),
    "matrix": matrix, "iou": IoU(matrix),
}  # fmt: skip
evaluator = create_supervised_evaluator(model, metrics=metrics, device="cpu")
RunningAverage(output_transform=lambda loss: loss).attach(trainer, "running")
timer = Timer(average=True)
timer.attach(
    trainer,
    start=Events.STARTED,
    resume=Events.ITERATION_STARTED,
    pause=Events.ITERATION_COMPLETED,
    step=Events.ITERATION_COMPLETED,
)
trainer.add_event_handler(Events.ITERATION_STARTED, CosineAnnealingScheduler(optimizer, "lr", 0.1, 0.01, 12))
trainer.add_event_handler(Events.ITERATION_COMPLETED, TerminateOnNan())
ema = EMAHandler(model, momentum=0.1)
ema.attach(trainer, name="ema_momentum", event=Events.ITERATION_COMPLETED)


@trainer.on(Events.ITERATION_COMPLETED(every=4))
def log(engine):
    print(
        f"{engine.state.epoch} {engine.state.iteration} {engine.state.output:.4f} {engine.state.metrics['running']:.4f}"
    )


@trainer.on(Events.EPOCH_COMPLETED)
def validate(engine):
    evaluator.run(valid)
    for name, value in sorted(evaluator.state.metrics.items()):
        print(name, value)


with tempfile.TemporaryDirectory() as folder:
    saver = ModelCheckpoint(
        folder, "best", n_saved=1, score_function=lambda e: e.state.metrics["accuracy"], score_name="acc", require_empty=False,
        global_step_transform=global_step_from_engine(trainer),
    )  # fmt: skip
    evaluator.add_event_handler(Events.COMPLETED, saver, {"model": model})
    evaluator.add_event_handler(
        Events.COMPLETED, EarlyStopping(5, lambda e: e.state.metrics["accuracy"], trainer)
    )
    state = trainer.run(train, max_epochs=3)
    print(state.epoch, state.iteration, sorted(state.metrics))
    Checkpoint.load_objects({"model": model}, checkpoint=torch.load(saver.last_checkpoint, weights_only=True))
evaluator.run(valid)
print(f"{evaluator.state.metrics['accuracy']:.4f}")
print([f"{p.norm().item():.4f}" for p in ema.ema_model.parameters()])
pictures = Engine(lambda engine, batch: batch)
for name, metric in {
    "psnr": PSNR(1.0),
    "ssim": SSIM(1.0),
    "rmse": RootMeanSquaredError(),
    "mae": MeanAbsoluteError(),
}.items():
    metric.attach(pictures, name)
found = pictures.run([(torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16))]).metrics
print(sorted((k, round(float(v), 4)) for k, v in found.items()))
