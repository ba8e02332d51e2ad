"""Sums of products written in letters: `einsum`."""

import math

from rushlight.ops.common import Tensor, check_tensor
from rushlight.ops.linalg import matmul
from rushlight.ops.registry import op

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ELLIPSIS = "..."


@op(method=False)
def einsum(*args):
    """Sums of products over dimensions named by letters.

    Args:
        equation: the letters of each operand's dimensions, then those of the result: "ij,jk->ik". Without
            "->" the result
            has the letters that occur once, in alphabetical order; "..." stands for further dimensions.
        operands: tensors; or, without an equation, each tensor followed by the list of its numbered
            dimensions.
    Returns:
        A tensor.
    Raises:
        RuntimeError: the letters do not go together with the shapes.

    >>> import rushlight as torch
    >>> torch.einsum("ij,jk->ik", torch.tensor([[1, 2]]), torch.tensor([[3], [4]]))
    tensor([[11]])
    """
    inputs, output, operands = _parse(args)
    sizes: dict = {}
    for number, (letters, t) in enumerate(zip(inputs, operands, strict=True)):
        for letter, size in zip(letters, t._array.shape, strict=True):
            seen = sizes.get(letter, 1)
            if seen != size and 1 not in (seen, size):
                raise RuntimeError(
                    f"einsum(): subscript {letter} has size {size} for operand {number} which does not "
                    "broadcast with "
                    f"previously seen size {seen}"
                )
            sizes[letter] = max(seen, size) if size else 0
    operands, inputs = zip(
        *(_without_repeats(t, x) for t, x in zip(operands, inputs, strict=True)), strict=True
    )
    operands, inputs = list(operands), list(inputs)
    result, letters = operands[0], inputs[0]
    for i in range(1, len(operands)):
        later = set(output).union(*inputs[i + 1 :])
        result, letters = _contract(result, letters, operands[i], inputs[i], later, sizes)
    return _arranged(result, letters, output, sizes)


def _parse(args: tuple) -> tuple[list, list, list]:
    """The letters of each operand's dimensions, those of the result, and the operands."""
    if args and isinstance(args[0], str):
        equation, operands = args[0], list(args[1:])
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = list(operands[0])
    else:
        equation, operands = _from_lists(args)
    if not operands:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand "
            "and its "
            "subscripts list"
        )
    left, arrow, right = equation.partition("->")
    terms = [_tokens(term, equation) for term in left.split(",")]
    if len(terms) != len(operands):
        fewer = "fewer" if len(operands) < len(terms) else "more"
        raise RuntimeError(
            f"einsum(): {fewer} operands were provided than specified in the equation ({equation!r})"
        )
    extra = 0
    for number, (term, t) in enumerate(zip(terms, operands, strict=True)):
        check_tensor("einsum", t, "operands", number + 2)
        extra = max(extra, _extra_dims(term, t, number))
    dots = [(_ELLIPSIS, i) for i in range(extra)]
    inputs = []
    for term, t in zip(terms, operands, strict=True):
        own = t._array.ndim - sum(1 for c in term if c != _ELLIPSIS)
        inputs.append(_expand(term, dots[extra - own :] if _ELLIPSIS in term else []))
    if arrow:
        return inputs, _output(_tokens(right, equation), dots, inputs), operands
    single = [c for term in inputs for c in term if c not in dots]
    return inputs, dots + sorted(c for c in set(single) if single.count(c) == 1), operands


def _from_lists(args: tuple) -> tuple[str, list]:
    """The equation and the operands from tensors that alternate with lists of numbers."""
    operands, terms = list(args[0 : len(args) // 2 * 2 : 2]), list(args[1::2])
    output = args[-1] if len(args) % 2 and len(args) > 1 else None

    def term(numbers) -> str:
        for n in numbers:
            if n is not Ellipsis and not 0 <= n < len(_LETTERS):
                raise ValueError(
                    "einsum(): subscript in subscript list is not within the valid range [0, 52)"
                )
        return "".join(_ELLIPSIS if n is Ellipsis else _LETTERS[n] for n in numbers)

    equation = ",".join(term(numbers) for numbers in terms)
    return equation + ("" if output is None else "->" + term(output)), operands


def _tokens(term: str, equation: str) -> list:
    """The letters of a term, "..." as one."""
    tokens, i = [], 0
    while i < len(term):
        if term[i] == " ":
            i += 1
        elif term.startswith(_ELLIPSIS, i):
            if _ELLIPSIS in tokens:
                raise RuntimeError(f'einsum(): found "..." more than once in the term {term!r}')
            tokens.append(_ELLIPSIS)
            i += 3
        elif term[i] in _LETTERS:
            tokens.append(term[i])
            i += 1
        else:
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {equation.find(term) + i} in the equation "
                "string, subscripts "
                "must be in [a-zA-Z]"
            )
    return tokens


def _extra_dims(term: list, t: Tensor, number: int) -> int:
    """How many dimensions the ellipsis of a term stands for."""
    named = sum(1 for c in term if c != _ELLIPSIS)
    rank = t._array.ndim
    if _ELLIPSIS in term:
        if named > rank:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) is more than the number of "
                "dimensions "
                f"({rank}) for operand {number}"
            )
        return rank - named
    if named != rank:
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({named}) does not match the number of "
            f"dimensions ({rank}) "
            f"for operand {number} and no ellipsis was given"
        )
    return 0


def _expand(term: list, dots: list) -> list:
    """The term with the ellipsis as the dimensions that it stands for."""
    return [d for c in term for d in (dots if c == _ELLIPSIS else [c])]


def _output(term: list, dots: list, inputs: list) -> list:
    output = _expand(term, dots)
    for c in output:
        if output.count(c) > 1:
            raise RuntimeError(f"einsum(): output subscript {c} appears more than once in the output")
        if not any(c in letters for letters in inputs):
            raise RuntimeError(
                f"einsum(): output subscript {c} does not appear in the equation for any input operand"
            )
    return output


def _without_repeats(t: Tensor, letters: list) -> tuple[Tensor, list]:
    """Diagonals taken where a letter occurs twice."""
    letters = list(letters)
    for c in dict.fromkeys(letters):
        while letters.count(c) > 1:
            i = letters.index(c)
            j = letters.index(c, i + 1)
            t = t.diagonal(0, i, j)
            del letters[j], letters[i]
            letters.append(c)
    return t, letters


def _contract(a: Tensor, in_a: list, b: Tensor, in_b: list, later: set, sizes: dict) -> tuple[Tensor, list]:
    """The product of two operands, summed over what nobody needs later: one product of stacks of matrices."""
    a, in_a = _summed(a, in_a, later.union(in_b), sizes)
    b, in_b = _summed(b, in_b, later.union(in_a), sizes)
    shared = [c for c in in_a if c in in_b]
    stacked = [c for c in shared if c in later]
    summed = [c for c in shared if c not in later]
    rows = [c for c in in_a if c not in in_b]
    columns = [c for c in in_b if c not in in_a]

    def size(letters) -> int:
        return math.prod(sizes[c] for c in letters)

    left = _arranged(a, in_a, stacked + rows + summed, sizes).reshape(size(stacked), size(rows), size(summed))
    right = _arranged(b, in_b, stacked + summed + columns, sizes).reshape(
        size(stacked), size(summed), size(columns)
    )
    result = matmul(left, right) if stacked else matmul(left.squeeze(0), right.squeeze(0))
    letters = stacked + rows + columns
    return result.reshape([sizes[c] for c in letters]), letters


def _summed(t: Tensor, letters: list, needed: set, sizes: dict) -> tuple[Tensor, list]:
    """The operand summed over the dimensions that nobody needs."""
    drop = [i for i, c in enumerate(letters) if c not in needed]
    if not drop:
        return t, letters
    t = t.expand([sizes[c] if i in drop else -1 for i, c in enumerate(letters)])
    return t.sum(drop), [c for c in letters if c in needed]


def _arranged(t: Tensor, letters: list, wanted: list, sizes: dict) -> Tensor:
    """The operand with its dimensions as wanted, each of its full size, the others summed."""
    t, letters = _summed(t, letters, set(wanted), sizes)
    order = [letters.index(c) for c in wanted]
    if order != list(range(len(order))):
        t = t.permute(order)
    shape = [sizes[c] for c in wanted]
    return t if list(t._array.shape) == shape else t.expand(shape)
