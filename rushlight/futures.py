"""Results that are computed elsewhere and waited for."""

import concurrent.futures
import types

__all__ = ["Future", "collect_all", "wait_all"]


class Future:
    """A result that some thread will set.

    >>> import rushlight as torch
    >>> f = torch.futures.Future()
    >>> g = f.then(lambda done: done.value() + 1)
    >>> f.set_result(1)
    >>> g.wait()
    2
    """

    __class_getitem__ = classmethod(types.GenericAlias)  # Future[int], for annotations

    def __init__(self, *, devices=None):
        self._inner: concurrent.futures.Future = concurrent.futures.Future()

    def done(self) -> bool:
        """Whether the result, or an exception, is there."""
        return self._inner.done()

    def wait(self):
        """The result, once it is there.

        Raises:
            Exception: the one that was set.
        """
        return self._inner.result()

    def value(self):
        """The result, which must be there.

        Raises:
            RuntimeError: it is not there yet.
        """
        if not self.done():
            raise RuntimeError("Future: the value is not there yet; wait() for it")
        return self._inner.result()

    def set_result(self, result) -> None:
        """Give the result to all who wait."""
        self._inner.set_result(result)

    def set_exception(self, result: BaseException) -> None:
        """Have `wait` raise this."""
        self._inner.set_exception(result)

    def add_done_callback(self, callback) -> None:
        """Call `callback(self)` as soon as the result is there."""
        self._inner.add_done_callback(lambda _: callback(self))

    def then(self, callback) -> "Future":
        """The future result of `callback(self)`."""
        following = Future()

        def follow(done: Future) -> None:
            try:
                following.set_result(callback(done))
            except Exception as error:  # whatever it is belongs to whoever waits
                following.set_exception(error)

        self.add_done_callback(follow)
        return following


def collect_all(futures: list[Future]) -> Future:
    """A future that has the list of these futures as soon as all of them are done."""
    everything = Future()
    waiting = len(futures)
    if not waiting:
        everything.set_result([])

    def count(_) -> None:
        nonlocal waiting
        waiting -= 1
        if not waiting:
            everything.set_result(list(futures))

    for future in futures:
        future.add_done_callback(count)
    return everything


def wait_all(futures: list[Future]) -> list:
    """The results of all, once they are there."""
    return [future.wait() for future in futures]
