"""PyTorch's CPU random streams: the Mersenne twister's draws, and how each distribution uses them.

`MT19937` holds one stream. Its public methods fill a C-contiguous array in order, whatever its type. They
reduce that to float32, float64, int64 or bool, for which the methods with an underscore are written; the
native kernels replace those alone.
"""

import math

import numpy as np

from rushlight.kernels.reference.layout import c_order

__all__ = ["MT19937"]

DEFAULT_SEED = 67280421310721
WORDS = 624  # of the Mersenne twister's state

# How PyTorch lays a generator's state out in bytes.
STATE = np.dtype([
    ("seed", "<u8"), ("left", "<i4"), ("seeded", "<i4"), ("next", "<u8"), ("words", "<u8", WORDS),
    ("unused", "<f8"), ("normal", "<f8"), ("unused2", "<f8"), ("has_normal", "<i4"), ("padding", "V4"),
    ("float_normal", "<f4"), ("has_float_normal", "?"), ("padding2", "V3"),
])  # fmt: skip


class MT19937:
    """A stream of random numbers: the Mersenne twister of Matsumoto and Nishimura (1998).

    Attributes: `initial_seed`, the number it was last seeded with.
    """

    def __init__(self, seed: int = DEFAULT_SEED):
        self.seed(seed)

    # -- state --------------------------------------------------------------------------------------

    def seed(self, seed: int) -> None:
        """Start again; of the seed, below 2^64, the low 32 bits count."""
        self.initial_seed = seed
        self._float_normal = None
        self._seed(seed)

    def get_state(self) -> np.ndarray:
        """All that decides the numbers to come, as PyTorch's 5056 bytes."""
        words, left, next_word, normal = self._state()
        state = np.zeros((), STATE)
        state["seed"], state["seeded"] = self.initial_seed, 1
        state["words"], state["left"], state["next"] = words, left, next_word
        state["normal"], state["has_normal"] = normal or 0.0, normal is not None
        state["float_normal"] = self._float_normal or 0.0
        state["has_float_normal"] = self._float_normal is not None
        return np.frombuffer(state.tobytes(), np.uint8).copy()

    def set_state(self, state: np.ndarray) -> None:
        """Go on where `get_state` was called.

        Raises:
            RuntimeError: these are not a generator's bytes.
        """
        if state.size != STATE.itemsize:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {STATE.itemsize} but found the input RNG state "
                f"size to be {state.size}"
            )
        s = np.frombuffer(state.tobytes(), STATE)[0]
        left, next_word = int(s["left"]), int(s["next"])
        if not (s["seeded"] and 1 <= left <= WORDS and next_word + left - 1 <= WORDS):
            raise RuntimeError("Invalid mt19937 state: expected bytes that get_state() returned")
        normal = float(s["normal"]) if s["has_normal"] else None
        self._set_state(s["words"].astype(np.uint32), left, next_word, normal)
        self.initial_seed = int(s["seed"])
        self._float_normal = s["float_normal"] if s["has_float_normal"] else None

    def _seed(self, seed: int) -> None:
        # NumPy's old interface seeds as the algorithm's authors do.
        self._source = np.random.RandomState(seed & 0xFFFFFFFF)._bit_generator
        self._fresh = True
        self._normal: float | None = None

    def _state(self) -> tuple:
        inner = self._source.state["state"]
        position = 0 if self._fresh else inner["pos"]
        return inner["key"], 1 if self._fresh else WORDS + 1 - position, position, self._normal

    def _set_state(self, words: np.ndarray, left: int, next_word: int, normal: float | None) -> None:
        self._fresh = left == 1 and next_word == 0
        position = WORDS if self._fresh else next_word
        self._source.state = {"bit_generator": "MT19937", "state": {"key": words, "pos": position}}
        self._normal = normal

    # -- draws --------------------------------------------------------------------------------------

    def raw(self, n: int) -> np.ndarray:
        """The next n draws of 32 bits."""
        self._fresh &= n == 0
        return self._source.random_raw(n).astype(np.uint32)

    def raw64(self, n: int) -> np.ndarray:
        """The next n draws of 64 bits, each of two of 32, the high one first."""
        draws = self.raw(2 * n).astype(np.uint64)
        return (draws[::2] << np.uint64(32)) | draws[1::2]

    def _unit(self, n: int, kind=np.float64) -> np.ndarray:
        """The next n numbers in [0, 1): the low 24 bits of a draw, or the low 53 of two."""
        if kind == np.float32:
            return (self.raw(n) & np.uint32(0xFFFFFF)).astype(np.float32) * np.float32(2.0**-24)
        return (self.raw64(n) & np.uint64(2**53 - 1)).astype(np.float64) * 2.0**-53

    # -- distributions, for arrays of any type ------------------------------------------------------

    def uniform(self, out: np.ndarray, low: float, high: float) -> None:
        """Fill with numbers in [low, high)."""
        x = _floats(out)
        self._uniform(x, low, high)
        if x is not out:
            _store(out, x)
            out[out == np.float32(high).astype(out.dtype)] = low  # rounded up to the limit

    def normal(self, out: np.ndarray, mean: float, std: float, blocks: bool) -> None:
        """Fill with normal numbers, made in blocks of 16 (where there are as many) or in pairs.

        A last block that is not full is the array's last 16 numbers, all of them made anew.
        """
        x = _floats(out)
        if not blocks:
            self._normal_pairs(x, mean, std)
        else:
            flat, rest = x.reshape(-1), x.size % 16
            self._normal_blocks(flat[: x.size - rest], mean, std)
            if rest:
                if x is out:  # PyTorch draws for these too; for 16-bit types it does not
                    self.raw(rest * (out.itemsize // 4))
                self._normal_blocks(flat[-16:], mean, std)
        _store(out, x)

    def bernoulli(self, out: np.ndarray, p: float) -> None:
        """Fill with ones with probability p, else zeros."""
        self._mask(out, self._bernoulli, p)

    def bernoulli_each(self, out: np.ndarray, p: np.ndarray) -> None:
        """Fill with ones, each with its own probability, else zeros."""
        p = c_order(p, None if p.dtype == np.float64 else np.float32)
        self._mask(out, self._bernoulli_each, p)

    def _mask(self, out: np.ndarray, fill, p) -> None:
        mask = out if out.dtype == bool else np.empty(out.shape, bool)
        fill(mask, p)
        _store(out, mask)

    def integers(self, out: np.ndarray, base: int, span: int, wide: bool) -> None:
        """Fill with integers from base to base + span - 1, of draws of 32 bits, or 64 if `wide`."""
        x = out if out.dtype == np.int64 else np.empty(out.shape, np.int64)
        self._integers(x, base, span % 2**64, wide)
        _store(out, x)

    def permutation(self, out: np.ndarray) -> None:
        """Fill with 0 ... n-1 in random order."""
        x = out if out.dtype == np.int64 else np.empty(out.shape, np.int64)
        self._permutation(x)
        _store(out, x)

    def choices(self, out: np.ndarray, weights: np.ndarray) -> bool:
        """Fill int64 rows with indices, each as probable as its weight in the row of `weights` says.

        Returns:
            False where weights are negative, not finite or all zero; `out` is then of no use.
        """
        kind = np.float64 if weights.dtype == np.float64 else np.float32
        return self._choices(out, c_order(weights, kind))

    def exponential(self, out: np.ndarray, rate: float) -> None:
        """Fill with exponential numbers of mean 1 / rate."""
        x = _floats(out)
        self._exponential(x, rate)
        _store(out, x)

    def cauchy(self, out: np.ndarray, median: float, sigma: float) -> None:
        """Fill with Cauchy numbers."""
        x = _floats(out)
        self._cauchy(x, median, sigma)
        _store(out, x)

    def log_normal(self, out: np.ndarray, mean: float, std: float) -> None:
        """Fill with numbers whose logarithm is normal."""
        x = _floats(out)
        self._log_normal(x, mean, std)
        _store(out, x)

    def geometric(self, out: np.ndarray, p: float) -> None:
        """Fill with the numbers of trials until a success of probability p."""
        x = _floats(out)
        self._geometric(x, p)
        _store(out, x)

    def poisson(self, out: np.ndarray, rates: np.ndarray) -> None:
        """Fill with Poisson numbers of these means."""
        x = _floats(out)
        x[...] = rates
        self._poisson(x)
        _store(out, x)

    def gamma(self, out: np.ndarray, shapes: np.ndarray) -> None:
        """Fill float32 or float64 numbers of gamma distributions with these shape parameters."""
        out[...] = shapes
        self._gamma(out)

    def binomial(self, out: np.ndarray, counts: np.ndarray, probabilities: np.ndarray) -> None:
        """Fill float32 or float64 numbers of successes in so many trials of these probabilities."""
        out[...] = counts
        self._binomial(out, np.array(probabilities, order="C"))

    # -- the same for float32, float64, int64 and bool: what native kernels replace -----------------

    def _uniform(self, out, low, high):
        low, high = out.dtype.type(low), out.dtype.type(high)
        # Rounded once, as by a fused multiplication and addition.
        exact = np.float64 if out.dtype == np.float32 else np.longdouble
        x = self._unit(out.size, out.dtype).astype(exact) * (high - low) + low
        out.reshape(-1)[:] = x
        out[out == high] = low

    def _normal_blocks(self, out, mean, std):
        kind = out.dtype.type
        u = self._unit(out.size, out.dtype).reshape(-1, 2, 8)
        radius = np.sqrt(kind(-2) * np.log(kind(1) - u[:, 0]))
        angle = kind(2 * math.pi) * u[:, 1]
        z = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
        out.reshape(-1)[:] = (z * kind(std) + kind(mean)).reshape(-1)

    def _pairs(self, n: int) -> np.ndarray:
        """n standard normal numbers; a second one of a pair that is not needed is kept for the next call."""
        kept = [] if self._normal is None or n == 0 else [self._normal]
        u = self._unit((n - len(kept) + 1) // 2 * 2).reshape(-1, 2)
        radius, angle = np.sqrt(-2 * np.log1p(-u[:, 1])), 2 * math.pi * u[:, 0]
        z = np.concatenate([kept, np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).reshape(-1)])
        if n:
            self._normal = float(z[n]) if z.size > n else None
        return z[:n]

    def _normal_pairs(self, out, mean, std):
        out.reshape(-1)[:] = self._pairs(out.size) * std + mean

    def _log_normal(self, out, mean, std):
        out.reshape(-1)[:] = np.exp(self._pairs(out.size) * std + mean)

    def _bernoulli(self, out, p):
        out.reshape(-1)[:] = self._unit(out.size) < p

    def _bernoulli_each(self, out, p):
        out.reshape(-1)[:] = self._unit(out.size, p.dtype) < p.reshape(-1)

    def _integers(self, out, base, span, wide):
        draws = self.raw64(out.size) if wide else self.raw(out.size).astype(np.uint64)
        rest = draws % np.uint64(span) if span else draws
        out.reshape(-1)[:] = (rest + np.uint64(base % 2**64)).view(np.int64)

    def _permutation(self, out):
        n = out.size
        order = list(range(n))
        narrow = n < (2**32 - 1) // 20  # else a remainder of 32 bits would be uneven
        draws = (self.raw if narrow else self.raw64)(max(n - 1, 0)).tolist()
        for i, draw in enumerate(draws):
            j = i + draw % (n - i)
            order[i], order[j] = order[j], order[i]
        out[:] = order

    def _choices(self, out, weights):
        for indices, row in zip(out, weights, strict=True):
            sums = np.cumsum(row, dtype=row.dtype)
            if not ((row >= 0).all() and 0 < sums[-1] < np.inf):
                return False
            sums = sums / sums[-1]
            sums[-1] = 1
            indices[:] = np.searchsorted(sums.astype(np.float64), self._unit(indices.size))
        return True

    def _exponential(self, out, rate):
        out.reshape(-1)[:] = -1 / rate * np.log1p(-self._unit(out.size))

    def _cauchy(self, out, median, sigma):
        out.reshape(-1)[:] = median + sigma * np.tan(math.pi * (self._unit(out.size) - 0.5))

    def _geometric(self, out, p):
        with np.errstate(divide="ignore"):
            out.reshape(-1)[:] = np.ceil(np.log(self._unit(out.size)) / math.log1p(-p))

    def _poisson(self, rates):
        flat = rates.reshape(-1)
        flat[:] = [self._one_poisson(rate) for rate in flat.tolist()]

    def _one_poisson(self, rate: float) -> float:
        """Below a mean of 10 by multiplying, else by rejection. Source: Hörmann, 1993, algorithm PTRS."""
        if rate == 0:
            return 0.0
        if rate < 10:
            count, product = 0, self._unit(1)[0]
            while product > math.exp(-rate):
                count, product = count + 1, product * self._unit(1)[0]
            return count
        b = 0.931 + 2.53 * math.sqrt(rate)
        a = -0.059 + 0.02483 * b
        inverse_alpha, limit = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2)
        while True:
            u, v = (self._unit(2) - [0.5, 0]).tolist()
            us = 0.5 - abs(u)
            k = math.floor((2 * a / us + b) * u + rate + 0.43) if us else -1
            if us >= 0.07 and v <= limit:
                return k
            if k < 0 or (us < 0.013 and v > us):
                continue
            left = math.log(v) + math.log(inverse_alpha) - math.log(a / (us * us) + b)
            if left <= -rate + k * math.log(rate) - math.lgamma(k + 1):
                return k

    def _gamma(self, shapes):
        flat = shapes.reshape(-1)
        with np.errstate(all="ignore"):
            flat[:] = [self._one_gamma(shape) for shape in flat]

    def _one_gamma(self, alpha: np.floating) -> float:
        """Source: Marsaglia and Tsang, ACM TOMS 26, 2000; in `alpha`'s own precision where PyTorch is."""
        kind, scale = type(alpha), 1.0
        if alpha < 1:
            if alpha == 0:
                return 0.0
            scale = (1 - self._unit(1)[0]) ** float(kind(1) / alpha)
            alpha = kind(alpha + kind(1))
        d = float(alpha - kind(np.float32(1 / 3)))
        c = 1 / np.sqrt(9 * d)
        squeeze = float(np.float32(0.0331))
        while True:
            y = 0.0
            while y <= 0:
                x = self._pairs(1)[0]
                y = 1 + c * x
            v, xx = y * y * y, x * x
            u = 1 - self._unit(1)[0]
            if u < 1 - squeeze * xx * xx or np.log(u) < 0.5 * xx + d * (1 - v + np.log(v)):
                return scale * d * v

    def _binomial(self, counts, probabilities):
        flat = counts.reshape(-1)
        with np.errstate(all="ignore"):
            flat[:] = [self._one_binomial(n, p) for n, p in zip(flat, probabilities.reshape(-1), strict=True)]

    def _one_binomial(self, count, p):
        if count <= 0 or p <= 0:
            return 0.0
        if p >= 1:
            return count
        if p > 0.5:
            return count - self._rare(count, type(p)(1 - float(p)))
        return self._rare(count, p) if p <= 0.5 else np.nan

    def _rare(self, count, p) -> float:
        """Few successes are counted from one to the next, many found by rejection."""
        if count * p >= 10:
            return self._many_successes(count, p)
        log_failure, trials, successes = float(np.log1p(-p)), 0.0, 0.0
        while True:
            trials += math.ceil(np.log(self._unit(1)[0]) / log_failure)
            if trials > count:
                return successes
            successes += 1

    def _many_successes(self, count, p) -> float:
        """Transformed rejection. Source: Hörmann, J. Statist. Comput. Simul. 46, 1993, algorithm BTRS."""
        kind = type(count)
        n, one = float(count), kind(1)
        deviation = float(np.sqrt(count * p * (one - p)))
        b = 1.15 + 2.53 * deviation
        a = -0.0873 + 0.0248 * b + 0.01 * float(p)
        centre, limit = float(count * p) + 0.5, 0.92 - 4.2 / b
        odds, m = float(p / (one - p)), math.floor((count + one) * p)
        alpha = (2.83 + 5.1 / b) * deviation
        while True:
            u, v = (self._unit(2) - [0.5, 0]).tolist()
            us = 0.5 - abs(u)
            k = math.floor((2 * a / us + b) * u + centre) if us else -1
            if not 0 <= k <= n:
                continue
            if us >= 0.07 and v <= limit:
                return k
            left = np.log(v * alpha / (a / (us * us) + b))
            right = (
                (m + 0.5) * np.log((m + 1) / (odds * (n - m + 1)))
                + (n + 1) * np.log((n - m + 1) / (n - k + 1))
                + (k + 0.5) * np.log(odds * (n - k + 1) / (k + 1))
                + _stirling_rest(m) + _stirling_rest(n - m) - _stirling_rest(k) - _stirling_rest(n - k)
            )  # fmt: skip
            if left <= right:
                return k


def _stirling_rest(k: float) -> float:
    """log(k!) less Stirling's formula."""
    if k < 10:
        return math.lgamma(k + 1) - (k + 0.5) * math.log(k + 1) + (k + 1) - 0.5 * math.log(2 * math.pi)
    square = (k + 1) * (k + 1)
    return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)


def _floats(out: np.ndarray) -> np.ndarray:
    """`out` itself if it is float32 or float64, else an array whose numbers `_store` converts."""
    if out.dtype in (np.float32, np.float64):
        return out
    return np.empty(out.shape, np.float64 if out.dtype.kind in "iu" else np.float32)


def _store(out: np.ndarray, x: np.ndarray) -> None:
    """Write `x` to `out`, to 16-bit floating-point types through float32, as PyTorch converts."""
    if x is not out:
        out[...] = x.astype(np.float32) if out.dtype.itemsize == 2 and out.dtype.kind in "fV" else x
