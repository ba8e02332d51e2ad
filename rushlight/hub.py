"""Models and weights that others publish: the names of `torch.hub`."""

import contextlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
import zipfile
from urllib.parse import urlparse  # noqa: F401  packages import it from here, and the next
from urllib.request import urlopen  # noqa: F401

from rushlight.vision.datasets.utils import download_url
from rushlight.vision.models import weights
from rushlight.vision.models.weights import load_state_dict_from_url

with contextlib.suppress(ImportError):
    from tqdm import tqdm  # noqa: F401  scripts import it from here

#: The beginning of the SHA256 checksum in the name of a file: resnet18-f37072fd.pth.
HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")

__all__ = [
    "download_url_to_file",
    "get_dir",
    "help",
    "list",
    "load",
    "load_state_dict_from_url",
    "set_dir",
]

_folder: str | None = None


def _get_torch_home() -> str:
    """The folder of TORCH_HOME, by default ~/.cache/torch; read by packages that keep files beside the hub's."""
    return os.path.dirname(os.path.dirname(weights.checkpoints()[-1]))


def get_dir() -> str:
    """The folder of what is downloaded: the one of `set_dir`, else `hub` in TORCH_HOME, by default ~/.cache/torch."""
    return os.path.dirname(weights.checkpoints()[-1]) if _folder is None else _folder


def set_dir(d) -> None:
    """Say where downloads are kept; weights are looked for in its folder `checkpoints`.

    Args:
        d: the folder.
    """
    global _folder
    _folder = os.path.expanduser(d)
    weights.set_folder(os.path.join(_folder, "checkpoints"))


def download_url_to_file(url: str, dst: str, hash_prefix: str | None = None, progress: bool = True) -> None:
    """Download a file.

    Args:
        url: its address.
        dst: its new path, in a folder that exists.
        hash_prefix: the beginning of its SHA256 checksum.
        progress: show a bar where tqdm is installed.
    Raises:
        RuntimeError: it cannot be had, or has another checksum.
    """
    folder, name = os.path.split(os.path.abspath(os.path.expanduser(dst)))
    with tempfile.TemporaryDirectory(
        dir=folder
    ) as fresh:  # a file that is there is replaced only by a whole one
        download_url(url, fresh, name, sha256=hash_prefix, progress=progress)
        shutil.move(os.path.join(fresh, name), os.path.join(folder, name))


def load(
    repo_or_dir: str,
    model: str,
    *args,
    source: str = "github",
    trust_repo=None,
    force_reload: bool = False,
    verbose: bool = True,
    skip_validation: bool = False,
    **kwargs,
):
    """Call a function of a repository's `hubconf.py`.

    Args:
        repo_or_dir: "owner/name" or "owner/name:branch" on GitHub; a folder where `source` is "local".
        model: the function's name.
        *args, **kwargs: of the function.
        source: "github" or "local".
        trust_repo: False refuses code that has not been downloaded before. That code runs with all of your rights.
        force_reload: download again.
        verbose: say that a downloaded copy is used.
    Raises:
        RuntimeError: there is no such function, or what it needs is not installed.
    """
    folder = _repository(repo_or_dir, source, trust_repo, force_reload, verbose)
    return _entry(_configuration(folder), model)(*args, **kwargs)


def list(
    github: str,
    force_reload: bool = False,
    skip_validation: bool = False,
    trust_repo=None,
    verbose: bool = True,
    source: str = "github",
):
    """The names of the functions of a repository's `hubconf.py`. The arguments are those of `load`."""
    module = _configuration(_repository(github, source, trust_repo, force_reload, verbose))
    return [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]


def help(
    github: str,
    model: str,
    force_reload: bool = False,
    skip_validation: bool = False,
    trust_repo=None,
    source: str = "github",
) -> str | None:
    """The documentation of a function of a repository's `hubconf.py`. The arguments are those of `load`."""
    return _entry(_configuration(_repository(github, source, trust_repo, force_reload, True)), model).__doc__


def _repository(name: str, source: str, trust, again: bool, verbose: bool) -> str:
    """The folder of a repository."""
    if source == "local":
        return name
    if source != "github":
        raise ValueError(f'Unknown source: "{source}". Allowed values: "github" | "local".')
    repository, _, branch = name.partition(":")
    owner, _, title = repository.partition("/")
    branch = branch or "main"
    folder = os.path.join(get_dir(), f"{owner}_{title}_{branch.replace('/', '_')}")
    if os.path.isdir(folder) and not again:
        if verbose:
            print(f"Using cache found in {folder}", file=sys.stderr)
        return folder
    if trust is False:
        raise RuntimeError(
            f"hub: {repository} has not been downloaded before; pass trust_repo=True to run its code"
        )
    os.makedirs(get_dir(), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=get_dir()) as fresh:
        address = f"https://github.com/{owner}/{title}/zipball/{branch}"
        download_url(address, fresh, "repository.zip", progress=verbose)
        with zipfile.ZipFile(os.path.join(fresh, "repository.zip")) as archive:
            archive.extractall(os.path.join(fresh, "all"))
        (inner,) = os.listdir(os.path.join(fresh, "all"))
        shutil.rmtree(folder, ignore_errors=True)
        shutil.move(os.path.join(fresh, "all", inner), folder)
    return folder


def _configuration(folder: str):
    """The module `hubconf` of a folder."""
    path = os.path.join(folder, "hubconf.py")
    spec = importlib.util.spec_from_file_location("hubconf.py", path)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    missing = [n for n in getattr(module, "dependencies", []) if importlib.util.find_spec(n) is None]
    if missing:
        raise RuntimeError(f"Missing dependencies: {', '.join(missing)}")
    return module


def _entry(module, model):
    if not isinstance(model, str):
        raise ValueError("Invalid input: model should be a string of function name")
    function = getattr(module, model, None)
    if not callable(function):
        raise RuntimeError(f"Cannot find callable {model} in hubconf")
    return function
