"""Callbacks: what a run does besides the model, under Lightning's names."""

import sys

from rushlight.lightning.callbacks.batch_size_finder import BatchSizeFinder
from rushlight.lightning.callbacks.callback import Callback
from rushlight.lightning.callbacks.checkpoint import Checkpoint
from rushlight.lightning.callbacks.device_stats_monitor import DeviceStatsMonitor
from rushlight.lightning.callbacks.early_stopping import EarlyStopping
from rushlight.lightning.callbacks.finetuning import BackboneFinetuning, BaseFinetuning
from rushlight.lightning.callbacks.gradient_accumulation_scheduler import GradientAccumulationScheduler
from rushlight.lightning.callbacks.lambda_function import LambdaCallback
from rushlight.lightning.callbacks.lr_finder import LearningRateFinder
from rushlight.lightning.callbacks.lr_monitor import LearningRateMonitor
from rushlight.lightning.callbacks.model_checkpoint import ModelCheckpoint
from rushlight.lightning.callbacks.model_summary import ModelSummary
from rushlight.lightning.callbacks.on_exception_checkpoint import OnExceptionCheckpoint
from rushlight.lightning.callbacks.prediction_writer import BasePredictionWriter
from rushlight.lightning.callbacks.progress import (
    PlainProgressBar,
    ProgressBar,
    RichModelSummary,
    RichProgressBar,
    TQDMProgressBar,
)
from rushlight.lightning.callbacks.stochastic_weight_avg import StochasticWeightAveraging
from rushlight.lightning.callbacks.timer import Timer
from rushlight.lightning.callbacks.weight_averaging import EMAWeightAveraging, WeightAveraging
from rushlight.lightning.utilities.absent import absent

__all__ = [
    "BackboneFinetuning", "BaseFinetuning", "BasePredictionWriter", "BatchSizeFinder", "Callback", "Checkpoint",
    "DeviceStatsMonitor", "EMAWeightAveraging", "EarlyStopping", "GradientAccumulationScheduler", "LambdaCallback",
    "LearningRateFinder",
    "LearningRateMonitor", "ModelCheckpoint", "ModelSummary", "OnExceptionCheckpoint", "PlainProgressBar", "ProgressBar",
    "RichModelSummary", "RichProgressBar", "StochasticWeightAveraging", "TQDMProgressBar", "Timer",
    "WeightAveraging",
]  # fmt: skip

ModelPruning = absent(
    "ModelPruning", "call torch.nn.utils.prune from on_train_epoch_end of the model", Callback
)
SpikeDetection = absent("SpikeDetection", "use Trainer(detect_anomaly=True)", Callback)
ThroughputMonitor = absent("ThroughputMonitor", "use Trainer(profiler='simple')", Callback)
pruning = spike = throughput_monitor = sys.modules[__name__]  # modules of Lightning
