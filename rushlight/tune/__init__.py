"""Hyper-parameter search: `search` on Optuna, and `grid_search` and `random_search` for two lines."""

from rushlight.tune.loops import grid_search, random_search
from rushlight.tune.search import Pruned, Search, Trial, search
from rushlight.tune.space import Choice, Float, Int

__all__ = ["Choice", "Float", "Int", "Pruned", "Search", "Trial", "grid_search", "random_search", "search"]
