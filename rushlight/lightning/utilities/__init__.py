"""Helpers of the trainer, under Lightning's names."""

from rushlight.lightning.utilities import rank_zero as warnings
from rushlight.lightning.utilities import types as enums
from rushlight.lightning.utilities.combined_loader import CombinedLoader
from rushlight.lightning.utilities.grads import grad_norm
from rushlight.lightning.utilities.memory import move_data_to_device
from rushlight.lightning.utilities.parsing import AttributeDict
from rushlight.lightning.utilities.rank_zero import (
    disable_possible_user_warnings,
    rank_zero_debug,
    rank_zero_deprecation,
    rank_zero_info,
    rank_zero_only,
    rank_zero_warn,
)
from rushlight.lightning.utilities.types import GradClipAlgorithmType

__all__ = [
    "AttributeDict", "CombinedLoader", "GradClipAlgorithmType", "disable_possible_user_warnings",
    "enums", "grad_norm", "move_data_to_device", "rank_zero_debug",
    "rank_zero_deprecation", "rank_zero_info", "rank_zero_only", "rank_zero_warn", "warnings",
]  # fmt: skip
