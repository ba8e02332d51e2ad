"""Downloads, checksums and archives."""

import bz2
import contextlib
import gzip
import hashlib
import http.client
import lzma
import os
import pathlib
import stat
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from typing import NamedTuple

import numpy as np

USER_AGENT = "rushlight/vision"
TIMEOUT = 60  # seconds without an answer
_CHUNK = 1 << 18
_FREE_SIZE, _EXPANSION = (
    1 << 28,
    200,
)  # an archive may unpack to so many bytes, or to so many times its own size
_OPENERS = {".bz2": bz2.open, ".gz": gzip.open, ".xz": lzma.open}
_ALIASES = {".tbz": (".tar", ".bz2"), ".tbz2": (".tar", ".bz2"), ".tgz": (".tar", ".gz")}
_DAMAGE = (  # RuntimeError: encrypted, or compressed in a way that isn't known
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError
)  # fmt: skip


def calculate_md5(fpath, chunk_size: int = 1 << 20) -> str:
    """The MD5 checksum of a file, in hexadecimal.

    Args:
        fpath: the file.
        chunk_size: bytes read at a time.
    """
    return _digest(hashlib.md5(usedforsecurity=False), fpath, chunk_size)


def _digest(digest, fpath, chunk_size: int = 1 << 20) -> str:
    with open(fpath, "rb") as file:
        while chunk := file.read(chunk_size):
            digest.update(chunk)
    return digest.hexdigest()


def check_md5(fpath, md5: str, **kwargs) -> bool:
    """Whether a file has the checksum `md5`; further arguments go to `calculate_md5`."""
    return md5 == calculate_md5(fpath, **kwargs)


def check_integrity(fpath, md5: str | None = None) -> bool:
    """Whether a file is there and, where `md5` is given, has that checksum.

    >>> from rushlight.vision.datasets.utils import check_integrity
    >>> check_integrity("no/such/file")
    False
    """
    return os.path.isfile(fpath) and (md5 is None or check_md5(fpath, md5))


def missing(files, message: str = "Dataset not found or corrupted") -> RuntimeError:
    """The error for files that are not there, or that are damaged; it says where they belong.

    Args:
        files: paths, or (path, md5) where the checksum is known.
        message: torchvision's words for it.
    """
    lines = [f"{message}. You can use download=True to download it"]
    for path, md5 in (file if isinstance(file, (tuple, list)) else (file, None) for file in files):
        if not os.path.exists(path):
            lines.append(f"  absent: {path}")
        elif md5 is not None and not check_md5(path, md5):
            lines.append(f"  damaged: {path} has MD5 {calculate_md5(path)} instead of {md5}")
    if len(lines) > 1:
        lines.append("Without a network, put the files there yourself.")
    return RuntimeError("\n".join(lines))


def check_labels(labels, classes: int, path) -> None:
    """Refuse labels that are no class.

    Args:
        labels: sequence of ints, or an array.
        classes: their number.
        path: where they come from.

    Raises:
        RuntimeError: one is not from 0 to classes - 1.
    """
    labels = np.asarray(labels)
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        raise RuntimeError(
            f"{path}: label {labels[wrong[0]]} of picture {wrong[0]} is none of the {classes} classes; "
            "another file, or a damaged one"
        )


# --------------------------------------------------------------------------------------------- downloads


def download_url(
    url,
    root,
    filename=None,
    md5: str | None = None,
    max_redirect_hops: int = 3,
    *,
    sha256: str | None = None,
    progress: bool = True,
) -> None:
    """Download a file, unless it is there already with the right checksum.

    The data goes to `filename.part`, which becomes `filename` once it is complete and its checksum is right. Where a
    checksum is given, a download that broke off is resumed, by the next mirror or by the next call.

    Args:
        url: address, or a list of mirrors that are tried in turn.
        root: folder to put it in; made if needed.
        filename: name to save it under; the last part of the address by default.
        md5: checksum in hexadecimal.
        max_redirect_hops: number of redirections that are followed.
        sha256: beginning of the SHA256 checksum in hexadecimal, where `md5` isn't known; a file that is there already
            is not compared with it.
        progress: move a bar where tqdm is installed.

    Raises:
        RuntimeError: no mirror gave the file; the message says why, and where to put it by hand.
    """
    mirrors = [url] if isinstance(url, str) else list(url)
    root = os.path.expanduser(root)
    path = os.path.join(root, filename or os.path.basename(mirrors[0]))
    if check_integrity(path, md5):
        return
    os.makedirs(root, exist_ok=True)
    checksum = _Checksum("MD5", md5) if md5 else _Checksum("SHA256", sha256) if sha256 else None
    failures = []
    for mirror in mirrors:
        try:
            _download(mirror, path, checksum, max_redirect_hops, progress)
            return
        except (
            RuntimeError,
            OSError,
            ValueError,
            http.client.HTTPException,
        ) as error:  # URLError is an OSError
            failures.append(f"Tried {mirror}, got:\n{error}")
    wanted = f" ({checksum.name} {checksum.digits})" if checksum else ""
    raise RuntimeError(
        f"Error downloading {os.path.basename(path)}:\n" + "\n".join(failures)
        + f"\nWithout a network, get the file elsewhere and put it at {path}{wanted}"
    )  # fmt: skip


class _Checksum(NamedTuple):
    name: str  # MD5 or SHA256
    digits: str  # hexadecimal; of SHA256 the first ones are enough

    def of(self, path: str) -> str:
        return calculate_md5(path) if self.name == "MD5" else _digest(hashlib.sha256(), path)

    def fits(self, path: str) -> bool:
        return self.of(path).startswith(self.digits)


def _download(url: str, path: str, checksum: _Checksum | None, hops: int, progress: bool) -> None:
    part = path + ".part"
    resumed = checksum is not None and os.path.exists(part)
    if resumed and checksum.fits(part):  # all was there already: only the new name was missing
        os.replace(part, path)
        return
    resumed = _fetch(url, part, resumed, hops, progress)
    if checksum is not None and not checksum.fits(part):
        if resumed:  # the beginning may have been of another version
            _fetch(url, part, False, hops, progress)
        if not checksum.fits(part):
            found = checksum.of(part)
            os.remove(part)
            raise RuntimeError(
                f"File not found or corrupted: its {checksum.name} is {found}, expected {checksum.digits}"
            )
    os.replace(part, path)


def _fetch(url: str, part: str, resume: bool, hops: int, progress: bool) -> bool:
    """Read `url` into the file `part`, after what is there if `resume`; whether it was indeed resumed."""
    have = os.path.getsize(part) if resume else 0
    request = urllib.request.Request(url, headers={"User-Agent": USER_AGENT})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = _opener(hops).open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            if not (have and error.code == 416):  # there is nothing behind what we have: it is another file
                raise RuntimeError(f"HTTP {error.code} {error.reason}") from None
        return _fetch(url, part, False, hops, progress)
    with response:
        have = have if response.status == 206 and _starts_at(response, have) else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        mode = "r+b" if have else "wb"
        with open(part, mode) as file, _progress(total, have, part, progress) as advance:
            file.seek(have)
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                advance(len(chunk))
            size = file.tell()
    if total is not None and size != total:
        raise RuntimeError(f"The connection ended after {size} of {total} bytes")
    return have > 0


def _starts_at(response, have: int) -> bool:
    return response.headers.get("Content-Range", f"bytes {have}-").startswith(f"bytes {have}-")


def _opener(hops: int):
    redirects = urllib.request.HTTPRedirectHandler()
    redirects.max_redirections = hops
    return urllib.request.build_opener(redirects)


@contextlib.contextmanager
def _progress(total: int | None, have: int, part: str, wanted: bool):
    """A function to tell how many bytes came; it moves a bar where that is wanted and tqdm is installed."""
    tqdm = None
    if wanted:
        with contextlib.suppress(ImportError):
            from tqdm import tqdm
    if tqdm is None:
        yield lambda count: None
        return
    name = os.path.basename(part).removesuffix(".part")
    with tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=name) as bar:
        yield bar.update


def download_and_extract_archive(
    url,
    download_root,
    extract_root=None,
    filename=None,
    md5: str | None = None,
    remove_finished: bool = False,
) -> None:
    """`download_url`, then `extract_archive`.

    Args:
        url: address, or a list of mirrors.
        download_root: folder for the archive.
        extract_root: folder for its content; the same by default.
        filename: name to save the archive under.
        md5: its checksum.
        remove_finished: delete the archive afterwards.
    """
    first = url if isinstance(url, str) else url[0]
    download_root = os.path.expanduser(download_root)
    filename = filename or os.path.basename(first)
    download_url(url, download_root, filename, md5)
    extract_archive(
        os.path.join(download_root, filename), extract_root or download_root, remove_finished=remove_finished
    )


# ---------------------------------------------------------------------------------------------- archives


class _Refused(RuntimeError):
    """An archive that could do harm."""


def extract_archive(from_path, to_path=None, remove_finished: bool = False):
    """Unpack a .tar or .zip, also compressed, or decompress a .gz, .bz2 or .xz.

    Only files and folders below `to_path` are written: an archive with absolute paths, paths through "..", links or
    devices is refused before anything of it is written outside. One that unpacks to more than 200 times its own size
    (and to more than 256 MB) is refused as well.

    Args:
        from_path: the archive; its name tells what it is.
        to_path: folder to unpack to; the archive's by default.
        remove_finished: delete the archive afterwards.

    Returns:
        The folder, or the decompressed file; a str if `from_path` is one, else a Path.

    Raises:
        RuntimeError: unknown kind, damaged or encrypted archive, or one that is refused; names it.
    """
    kind, compression = _kind(from_path)
    to_path = os.path.dirname(from_path) if to_path is None else os.path.expanduser(to_path)
    write = _Writer(from_path)
    try:
        if kind == ".tar":
            _extract_tar(from_path, to_path, compression, write)
        elif kind == ".zip":
            _extract_zip(from_path, to_path, write)
        else:
            to_path = os.path.join(to_path, os.path.basename(from_path).removesuffix(compression))
            with _OPENERS[compression](from_path, "rb") as source:
                write(source, to_path)
    except (FileNotFoundError, _Refused):
        raise
    except _DAMAGE as error:
        raise RuntimeError(f"{from_path}: the archive cannot be unpacked: {error}") from error
    if remove_finished:
        os.remove(from_path)
    return os.fspath(to_path) if isinstance(from_path, str) else pathlib.Path(to_path)


def _kind(path) -> tuple[str | None, str | None]:
    """(".tar", ".zip" or None, compression or None) by the suffixes of a name."""
    suffixes = pathlib.Path(path).suffixes
    if not suffixes:
        raise RuntimeError(
            f"File '{path}' has no suffixes that could be used to detect the archive type and compression."
        )
    last = suffixes[-1]
    if last in _ALIASES:
        return _ALIASES[last]
    if last in (".tar", ".zip"):
        return last, None
    if last in _OPENERS:
        return (".tar" if suffixes[-2:-1] == [".tar"] else None), last
    known = sorted([*_ALIASES, ".tar", ".zip", *_OPENERS])
    raise RuntimeError(f"Unknown compression or archive type: '{last}'.\nKnown suffixes are: '{known}'.")


def _inside(folder: str, name: str, archive) -> str:
    """The path of a member below `folder`.

    Raises:
        _Refused: it would be elsewhere, also through a link that is in the folder already.
    """
    root = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(root, name.replace("\\", "/")))
    if path != root and not path.startswith(root.rstrip(os.sep) + os.sep):
        raise _Refused(f"{archive}: refused, its member {name!r} would be written outside of {folder}")
    return path


def _extract_tar(archive, folder, compression: str | None, write: "_Writer") -> None:
    with tarfile.open(archive, f"r:{compression[1:] if compression else ''}") as tar:
        for member in tar:
            path = _inside(folder, member.name, archive)
            if member.isdir():
                os.makedirs(path, exist_ok=True)
            elif member.isreg():
                with tar.extractfile(member) as source:
                    write(source, path)
            else:
                raise _Refused(f"{archive}: refused, its member {member.name!r} is a link or a device")
        while chunk := tar.fileobj.read(_CHUNK):  # at the end of a compressed file is its checksum
            write.count(len(chunk))


def _extract_zip(archive, folder, write: "_Writer") -> None:
    with zipfile.ZipFile(archive) as content:
        for member in content.infolist():
            path = _inside(folder, member.filename, archive)
            mode = member.external_attr >> 16  # of Unix; 0 where another system wrote the archive
            if member.is_dir():
                os.makedirs(path, exist_ok=True)
            elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
                with content.open(member) as source:
                    write(source, path)
            else:
                raise _Refused(f"{archive}: refused, its member {member.filename!r} is a link or a device")


class _Writer:
    """Writes what an archive holds, up to a limit for all of it."""

    def __init__(self, archive):
        self.archive = archive
        size = os.path.getsize(archive)
        if not size:
            raise RuntimeError(f"{archive}: the archive cannot be unpacked: empty file")
        self.left = max(_FREE_SIZE, _EXPANSION * size)

    def count(self, nbytes: int) -> None:
        """Note that so many bytes were unpacked."""
        self.left -= nbytes
        if self.left < 0:
            raise _Refused(
                f"{self.archive}: refused, it unpacks to more than {_EXPANSION} times its own size; unpack it with "
                "another program if that is right"
            )

    def __call__(self, source, path: str) -> None:
        """Copy a stream to a file, which gets its name once it is complete."""
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        part = path + ".part"
        try:
            with open(part, "wb") as target:
                while chunk := source.read(_CHUNK):
                    self.count(len(chunk))
                    target.write(chunk)
            os.replace(part, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.remove(part)
            raise


# ------------------------------------------------------------------------------------------------ others


def list_dir(root, prefix: bool = False) -> list[str]:
    """The folders in a folder.

    Args:
        root: the folder.
        prefix: give their paths instead of their names.
    """
    root = os.path.expanduser(root)
    names = [name for name in os.listdir(root) if os.path.isdir(os.path.join(root, name))]
    return [os.path.join(root, name) for name in names] if prefix else names


def list_files(root, suffix, prefix: bool = False) -> list[str]:
    """The files in a folder whose names end in `suffix`.

    Args:
        root: the folder.
        suffix: one ending or a tuple of them.
        prefix: give their paths instead of their names.
    """
    root = os.path.expanduser(root)
    names = [
        name
        for name in os.listdir(root)
        if name.endswith(suffix) and os.path.isfile(os.path.join(root, name))
    ]
    return [os.path.join(root, name) for name in names] if prefix else names


def verify_str_arg(value, arg: str | None = None, valid_values=None, custom_msg: str | None = None):
    """`value`, if it is a str among `valid_values`.

    Raises:
        ValueError: it is not; `custom_msg` replaces the message.

    >>> from rushlight.vision.datasets.utils import verify_str_arg
    >>> verify_str_arg("dev", "split", ("train", "test"))
    Traceback (most recent call last):
    ValueError: Unknown value 'dev' for argument split. Valid values are {'train', 'test'}.
    """
    if not isinstance(value, str):
        where = f" for argument {arg}" if arg is not None else ""
        raise ValueError(f"Expected type str{where}, but got type {type(value)}.")
    if valid_values is not None and value not in valid_values:
        valid = "'" + "', '".join(str(item) for item in valid_values) + "'"
        raise ValueError(
            custom_msg or f"Unknown value '{value}' for argument {arg}. Valid values are {{{valid}}}."
        )
    return value
