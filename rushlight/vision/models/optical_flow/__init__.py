"""Networks that say where each pixel of a picture is in the next one."""

from rushlight.vision.models.optical_flow.raft import *  # noqa: F403
