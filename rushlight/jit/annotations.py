"""Types that scripts import from here for annotations; they are `typing`'s."""

from typing import Any, Dict, List, Optional, Tuple, Union  # noqa: UP035 - the names that scripts import

__all__ = ["Any", "Dict", "List", "Optional", "Tuple", "Union"]
