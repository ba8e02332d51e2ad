"""A line search by cubic interpolation that satisfies the strong Wolfe conditions.

Source: Nocedal & Wright, Numerical Optimization, algorithms 3.5 and 3.6; the details are those of Schmidt's
minFunc (2005), by way of torch/optim's lswolfe.lua.
"""

from dataclasses import dataclass
from typing import Any


@dataclass
class _Point:
    """A step length, and the function there: its value, gradient and slope along the direction."""

    length: Any
    value: float
    grad: Any
    slope: Any


def strong_wolfe(
    evaluate, length, direction, value, grad, slope, decrease=1e-4, curvature=0.9, tolerance=1e-9, most=25
):
    """A step length with sufficient decrease, where the slope is much flatter than at the start.

    Args:
        evaluate: from a step length to the function's value and gradient.
        length: the first to try.
        direction: of the search; the rest describes its start.
        decrease, curvature: the constants of the two conditions.
        tolerance: smaller brackets are not searched.
        most: evaluations at most, after the first.
    Returns:
        (value, gradient, step length, number of evaluations).
    """
    start = _Point(0, value, grad.clone(), slope)

    def at(length):
        value, grad = evaluate(length)
        return _Point(length, value, grad, grad.dot(direction))

    def too_high(point):
        return point.value > start.value + decrease * point.length * slope

    def flat(point):
        return abs(point.slope) <= -curvature * slope

    # Lengthen the step until an interval is found that contains a good one.
    before, new, done, tries = start, at(length), False, 0
    bracket = None
    while bracket is None and tries < most:
        if too_high(new) or (tries > 1 and new.value >= before.value):
            bracket = [before, new]
        elif flat(new):
            bracket, done = [new], True
        elif new.slope >= 0:
            bracket = [before, new]
        else:
            bounds = new.length + 0.01 * (new.length - before.length), new.length * 10
            before, new = new, at(_cubic_minimum(before, new, bounds))
            tries += 1
    evaluations = tries + 1
    if bracket is None:
        bracket = [start, new]

    # Narrow the interval down.
    low, high = (0, 1) if bracket[0].value <= bracket[-1].value else (1, 0)
    widest = direction.abs().max()
    stuck = False
    while not done and tries < most:
        if abs(bracket[1].length - bracket[0].length) * widest < tolerance:
            break
        length, stuck = _inside(bracket, _cubic_minimum(*bracket), stuck)
        new = at(length)
        evaluations += 1
        tries += 1
        if too_high(new) or new.value >= bracket[low].value:
            bracket[high] = new
            low, high = (0, 1) if bracket[0].value <= bracket[1].value else (1, 0)
            continue
        if flat(new):
            done = True
        elif new.slope * (bracket[high].length - bracket[low].length) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = new
    best = bracket[low if len(bracket) > 1 else 0]
    return best.value, best.grad, best.length, evaluations


def _cubic_minimum(a: _Point, b: _Point, bounds=None):
    """Where the cubic through two points with their slopes is smallest, within bounds."""
    if bounds is None:
        bounds = (a.length, b.length) if a.length <= b.length else (b.length, a.length)
    lowest, highest = bounds
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.length - b.length)
    square = d1**2 - a.slope * b.slope
    if not square >= 0:
        return (lowest + highest) / 2.0
    d2 = square.sqrt()
    if a.length <= b.length:
        near, far = a, b
    else:
        near, far = b, a
    step = (far.slope + d2 - d1) / (far.slope - near.slope + 2 * d2)
    return min(max(far.length - (far.length - near.length) * step, lowest), highest)


def _inside(bracket: list, length, stuck: bool) -> tuple:
    """A trial length that is not too close to the bracket's ends twice running."""
    low, high = sorted(point.length for point in bracket)
    margin = 0.1 * (high - low)
    if not min(high - length, length - low) < margin:
        return length, False
    if not (stuck or length >= high or length <= low):
        return length, True
    return (high - margin if abs(length - high) < abs(length - low) else low + margin), False
