"""PyTorch's argument names, defaults and order, compared with ours: `python -m tests.compat.signatures [CSV]`.

PyTorch says what its functions take in the schemas of its operators, or in the signatures of its Python functions. The
table of keyword arguments that public scripts use (name, keyword, repositories) is checked too where it is given.
"""

import argparse
import csv
import inspect
import sys
from collections import defaultdict

import torch

from tests.compat.translate import Untranslatable, resolve

REQUIRED = inspect.Parameter.empty
#: Arguments about which nothing can be chosen on the CPU, and names of dimensions.
NOWHERE = {"layout", "device", "pin_memory", "names", "cudnn_enabled", "cudnn_enable", "out_dtype"}
#: Defaults that mean the same, as (PyTorch's, ours).
SAME = {
    (None, "False"), ("True", None), (4, "torch.int64"), (4, None),
    (None, "torch.preserve_format"), (None, "torch.contiguous_format"), (0, "torch.contiguous_format"),
}  # fmt: skip
#: Arguments that ours do not take.
KNOWN = {
    "the script language's numbers, lists and sorts": {"a", "b", "t", "reverse", "other"},
    "one number among tensors: give it by position": {"element", "test_element"},
    "the tensor of a method that is a function as well: give it by position": {"input"},
    "drawn from the default generator": {"generator", "random_samples"},
    "channels are dropped in training only": {"train"},
}
#: Where keyword arguments in use are looked up.
HOMES = ("torch.Tensor.", "torch.nn.", "torch.optim.", "torch.utils.data.", "torch.autograd.", "torch.cuda.")
#: Keyword arguments that PyTorch 2.13 does not take either: of lists, strings and images, or of older versions.
NOT_PYTORCH = {
    ("torch.Tensor.sort", "key"), ("torch.Tensor.sort", "reverse"), ("torch.Tensor.resize", "resample"),
    ("torch.Tensor.split", "random_state"), ("torch.Tensor.split", "maxsplit"), ("torch.Tensor.split", "split_ratio"),
    ("torch.Tensor.backward", "retain_variables"), ("torch.Tensor.repeat", "axis"),
    ("torch.utils.data.sort", "key"), ("torch.utils.data.sort", "reverse"),
    ("torch.optim.lr_scheduler.ReduceLROnPlateau", "verbose"),
    ("torch.nn.attention.flex_attention.flex_attention", "block_mask"),
}  # fmt: skip
#: Arguments that stand elsewhere: PyTorch's functions and methods of one name differ there, ours are the same.
ELSEWHERE = {("torch.Tensor.norm", "dtype"), ("torch.Tensor.split", "split_size")}


def schemas() -> dict[str, list]:
    """The Python arguments of each operator's overloads: lists of (name, default, keyword only)."""
    found = defaultdict(list)
    for schema in torch._C._jit_get_all_schemas():
        space, _, name = schema.name.partition("::")
        arguments = schema.arguments
        types = [str(a.type) for a in arguments]
        if space != "aten" or _of_script(arguments, types) or _by_name(arguments, types):
            continue
        plain = [_argument(a) for a in arguments if not a.is_out]
        found[name].append([*plain, ("out", None, True)] if len(plain) < len(arguments) else plain)
    return found


def _of_script(arguments, types) -> bool:
    """Whether an overload is for the numbers and lists of PyTorch's scripts."""
    return not any("Tensor" in t for t in types) and not any(a.name in ("dtype", "size") for a in arguments)


def _by_name(arguments, types) -> bool:
    """Whether dimensions are given by name."""
    return any(
        a.name in ("dim", "dims", "names", "dimension") and "str" in t
        for a, t in zip(arguments, types, strict=True)
    )


def _argument(a) -> tuple:
    default = a.default_value if a.has_default_value() else REQUIRED
    return a.name, default, a.kwarg_only


def of_python(f) -> list[list] | None:
    """The arguments of a Python function of PyTorch's, as one overload; None for a builtin."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (ValueError, TypeError):
        return None
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
        return None
    return [[(p.name, p.default, p.kind is p.KEYWORD_ONLY) for p in parameters]]


def differences(title, ours, overloads, method: bool, takes_out: bool) -> list[str]:
    """What our function lacks of PyTorch's overloads."""
    ignored = NOWHERE.union(*KNOWN.values(), () if takes_out else {"out"})
    try:
        have = dict(inspect.signature(ours).parameters)
    except (ValueError, TypeError):
        return []
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in have.values()):
        return []
    order = [n for n, p in have.items() if p.kind is not p.KEYWORD_ONLY]
    found, defaults = [], defaultdict(list)
    for overload in overloads:
        for name, default, _ in overload:
            defaults[name].append(default)
    for overload in overloads:
        for i, (name, _, keyword_only) in enumerate(overload):
            known = "input" if name == "self" else name
            if method and i == 0:
                continue
            if known not in have:
                if known not in ignored:
                    found.append(f"no argument {known!r}")
                continue
            placed = known in order and order.index(known) == i
            if not (keyword_only or placed or len(overloads) > 1 or (title, known) in ELSEWHERE):
                found.append(f"{known!r} is not argument {i}")
            given = have[known].default
            if not any(same_default(given, d) for d in defaults[name]):
                found.append(f"{known!r} is {_shown(given)}, PyTorch {_shown(defaults[name][0])}")
    return list(dict.fromkeys(found))


def same_default(ours, theirs) -> bool:
    """Whether two defaults mean the same; where PyTorch has none, ours may have one."""
    if theirs is REQUIRED or ours is REQUIRED:
        return theirs is REQUIRED
    if isinstance(ours, list | tuple) or isinstance(theirs, list | tuple):
        parts = [i for v in (ours, theirs) for i in (v if isinstance(v, list | tuple) else [v])]
        return (
            [*ours] == [*theirs]
            if isinstance(ours, list | tuple) and isinstance(theirs, list | tuple)
            else len({*parts}) == 1
        )
    return (
        ours == theirs
        or str(ours) == str(theirs)
        or {(theirs, ours), (theirs, str(ours)), (str(theirs), ours)} & SAME
    )


def _shown(default) -> str:
    return "required" if default is REQUIRED else repr(default)


def takes_out(theirs) -> bool:
    """Whether a builtin of PyTorch's has the argument `out`; the schemas list more than can be called."""
    if theirs in (torch.std_mean, torch.var_mean):  # their documentation says more than is so
        return False
    return " out=None" in "".join(str(theirs.__doc__).strip().splitlines()[:2])


def everything():
    """Each public function of PyTorch that we have: its name, ours, PyTorch's overloads, whether it is a method."""
    table = schemas()
    homes = {
        "torch": torch, "torch.Tensor": torch.Tensor, "torch.nn.functional": torch.nn.functional,
        "torch.linalg": torch.linalg, "torch.fft": torch.fft,
    }  # fmt: skip
    prefix = {"torch.linalg": "linalg_", "torch.fft": "fft_"}
    for home, namespace in homes.items():
        for name in sorted(dir(namespace)):
            theirs = getattr(namespace, name)
            if name.startswith("_") or not callable(theirs) or isinstance(theirs, type):
                continue
            try:
                ours = resolve(f"{home}.{name}")
            except Untranslatable:
                continue
            overloads = of_python(theirs) or table.get(prefix.get(home, "") + name) or table.get(name)
            if overloads:
                yield f"{home}.{name}", ours, overloads, home == "torch.Tensor", takes_out(theirs)


def unused(path: str, least: int = 2):
    """The keyword arguments that scripts use and ours don't take."""
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            if int(row["repositories"]) < least:
                continue
            name = row["name"] if row["name"].startswith("torch") else "torch." + row["name"]
            if (
                not (name.startswith(HOMES) or (name.startswith("torch.") and name.count(".") == 1))
                or (name, row["keyword"]) in NOT_PYTORCH
            ):
                continue
            try:
                ours = resolve(name)
                parameters = inspect.signature(ours).parameters
            except (Untranslatable, ValueError, TypeError) as error:
                yield f"{name}({row['keyword']}=): {error}"
                continue
            open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
            if row["keyword"] not in parameters and not open_ended:
                yield f"{name}({row['keyword']}=), {row['repositories']} repositories"


def main(argv=None) -> int:
    """Print every difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("csv", nargs="?", help="table of keyword arguments in use")
    args = parser.parse_args(argv)
    count = 0
    for name, *facts in everything():
        for reason in differences(name, *facts):
            count += 1
            print(f"{name}: {reason}")
    if args.csv:
        for reason in unused(args.csv):
            count += 1
            print("not accepted:", reason)
    print(f"{count} differences")
    return count > 0


if __name__ == "__main__":
    sys.exit(main())
