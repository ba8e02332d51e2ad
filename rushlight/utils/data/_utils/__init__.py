"""The parts that a DataLoader is made of; scripts import `collate`, `worker` and `fetch` from here."""

from rushlight._utils import ExceptionWrapper
from rushlight.utils.data._utils import channel, collate, fetch, worker

MP_STATUS_CHECK_INTERVAL = worker.MP_STATUS_CHECK_INTERVAL

__all__ = ["MP_STATUS_CHECK_INTERVAL", "ExceptionWrapper", "channel", "collate", "fetch", "worker"]
