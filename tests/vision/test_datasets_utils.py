"""Downloads from a local server, and archives that would write elsewhere."""

import gzip
import hashlib
import io
import os
import pathlib
import sys
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rushlight.vision import datasets
from rushlight.vision.datasets import utils

CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """/good, /norange, /short (breaks off after half), /wrong, /moved/N (redirected N times), /files/NAME, else 404."""

    def do_GET(self):
        kind, _, rest = self.path[1:].partition("/")
        self.server.seen.append((self.path, self.headers.get("Range")))
        if kind == "moved" and int(rest):
            self.send_response(302)
            self.send_header("Location", f"/moved/{int(rest) - 1}")
            self.end_headers()
            return
        content = self.server.files.get(rest) if kind == "files" else CONTENT
        if kind not in ("good", "norange", "short", "wrong", "moved", "files") or content is None:
            self.send_error(404)
            return
        if kind == "wrong":
            content = content[::-1]
        wanted = self.headers.get("Range")
        start = int(wanted[6:-1]) if wanted and kind != "norange" else 0
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : len(content) // 2 if kind == "short" and not start else None])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.seen, server.files = [], {}
        server.address = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("bar", [True, False])
def test_download(server, tmp_path, monkeypatch, bar, capsys):
    if bar:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    utils.download_url(server.address + "good", tmp_path / "deep" / "er", "file.bin", MD5)
    path = tmp_path / "deep" / "er" / "file.bin"
    assert path.read_bytes() == CONTENT
    assert os.listdir(path.parent) == ["file.bin"]
    assert ("file.bin" in capsys.readouterr().err) == bar
    utils.download_url(server.address + "good", path.parent, "file.bin", MD5)
    assert len(server.seen) == 1, "it was there already"
    path.write_bytes(b"damaged")
    utils.download_url(server.address + "good", path.parent, "file.bin", MD5)
    assert path.read_bytes() == CONTENT


def test_mirrors(server, tmp_path):
    urls = [server.address + name for name in ("absent", "wrong", "good")]
    utils.download_url(urls, tmp_path, "x", MD5)
    assert (tmp_path / "x").read_bytes() == CONTENT
    with pytest.raises(RuntimeError) as caught:
        utils.download_url(urls[:2], tmp_path, "y", MD5)
    message = str(caught.value)
    assert "Error downloading y" in message
    assert "HTTP 404" in message
    assert f"expected {MD5}" in message
    assert f"put it at {tmp_path / 'y'} (MD5 {MD5})" in message
    assert os.listdir(tmp_path) == ["x"], "nothing wrong is kept"


def test_resume(server, tmp_path):
    with pytest.raises(RuntimeError, match=f"ended after {len(CONTENT) // 2} of {len(CONTENT)} bytes"):
        utils.download_url(server.address + "short", tmp_path, "x", MD5)
    assert os.listdir(tmp_path) == ["x.part"]
    utils.download_url(server.address + "good", tmp_path, "x", MD5)
    assert server.seen[-1] == ("/good", f"bytes={len(CONTENT) // 2}-")
    assert (tmp_path / "x").read_bytes() == CONTENT
    utils.download_url([server.address + name for name in ("short", "good")], tmp_path, "y", MD5)
    assert server.seen[-1] == ("/good", f"bytes={len(CONTENT) // 2}-"), "the next mirror goes on"


@pytest.mark.parametrize("part", [CONTENT[:100], b"something else", CONTENT, CONTENT + b"more", b""])
@pytest.mark.parametrize("kind", ["good", "norange"])
def test_resume_from_anything(server, tmp_path, part, kind):
    (tmp_path / "x.part").write_bytes(part)
    utils.download_url(server.address + kind, tmp_path, "x", MD5)
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["x"]


def test_no_resume_without_checksum(server, tmp_path):
    (tmp_path / "good.part").write_bytes(b"something else")
    utils.download_url(server.address + "good", tmp_path)
    assert (tmp_path / "good").read_bytes() == CONTENT
    with pytest.raises(RuntimeError, match="ended after"):
        utils.download_url(server.address + "short", tmp_path)
    assert not (tmp_path / "short").exists()


def test_redirects(server, tmp_path):
    utils.download_url(server.address + "moved/3", tmp_path, "x", MD5)
    with pytest.raises(RuntimeError, match="HTTP 302"):
        utils.download_url(server.address + "moved/9", tmp_path, "y", MD5)


def test_offline(tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as closed:
        address = f"http://127.0.0.1:{closed.server_port}/x.gz"
    with pytest.raises(RuntimeError, match=f"put it at {tmp_path / 'x.gz'}"):
        utils.download_url(address, tmp_path)


def test_data_sets_download(server, tmp_path, monkeypatch):
    """MNIST and CIFAR-10 from a server."""
    from .test_datasets import idx, without_md5, write_cifar

    resources = []
    for name, *_ in datasets.MNIST.resources:
        content = gzip.compress(idx([[[1, 2], [3, 4]]]) if "images" in name else idx([7]))
        server.files[name] = content
        resources.append((name, hashlib.md5(content).hexdigest()))
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    monkeypatch.setattr(datasets.MNIST, "mirrors", [server.address + "nowhere/", server.address + "files/"])
    data = datasets.MNIST(tmp_path, download=True)
    assert (data.data.tolist(), data.targets.tolist()) == ([[[1, 2], [3, 4]]], [7])
    count = len(server.seen)
    datasets.MNIST(tmp_path, train=False, download=True)
    assert len(server.seen) == count

    without_md5(monkeypatch, datasets.CIFAR10)
    write_cifar(tmp_path / "source", "CIFAR10")
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as tar:
        tar.add(tmp_path / "source" / "cifar-10-batches-py", "cifar-10-batches-py")
    server.files["cifar-10-python.tar.gz"] = memory.getvalue()
    monkeypatch.setattr(datasets.CIFAR10, "url", server.address + "files/cifar-10-python.tar.gz")
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(memory.getvalue()).hexdigest())
    assert len(datasets.CIFAR10(tmp_path / "root", download=True)) == 20


# ---------------------------------------------------------------------------------------------- archives


def tar_with(path, *members, mode="w"):
    with tarfile.open(path, mode) as tar:
        for name, kind, value in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            if kind == tarfile.REGTYPE:
                member.size = len(value)
            else:
                member.linkname = value
            tar.addfile(member, io.BytesIO(value) if kind == tarfile.REGTYPE else None)
    return path


def zip_with(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, mode, value in members:
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            archive.writestr(member, value)
    return path


REG = tarfile.REGTYPE


@pytest.mark.parametrize(
    "suffix, mode",
    [(".tar", "w"), (".tar.gz", "w:gz"), (".tgz", "w:gz"), (".tar.xz", "w:xz"), (".tbz2", "w:bz2")],
)
def test_tar(tmp_path, suffix, mode):
    members = [("d", tarfile.DIRTYPE, ""), ("d/a", REG, b"1"), ("d/./b", REG, b"2"), ("e/f/c", REG, b"3")]
    archive = tar_with(tmp_path / f"x{suffix}", *members, mode=mode)
    out = utils.extract_archive(str(archive), str(tmp_path / "out"))
    assert out == str(tmp_path / "out")
    assert [(tmp_path / "out" / name).read_bytes() for name in ("d/a", "d/b", "e/f/c")] == [b"1", b"2", b"3"]


def test_zip_and_single_files(tmp_path):
    archive = zip_with(tmp_path / "x.zip", ("d/", 0, b""), ("d/a", 0o100644, b"1"), ("b", 0, b"2"))
    assert utils.extract_archive(archive) == tmp_path
    assert (tmp_path / "d" / "a").read_bytes() == b"1"
    (tmp_path / "y.gz").write_bytes(gzip.compress(b"3"))
    assert utils.extract_archive(tmp_path / "y.gz", remove_finished=True) == tmp_path / "y"
    assert (tmp_path / "y").read_bytes() == b"3"
    assert not (tmp_path / "y.gz").exists()
    with pytest.raises(RuntimeError, match=r"Unknown compression or archive type: '.rar'"):
        utils.extract_archive("x.rar")
    with pytest.raises(RuntimeError, match="has no suffixes"):
        utils.extract_archive("x")


@pytest.mark.parametrize(
    "name", ["../evil", "/tmp/rushlight_evil", "a/../../evil", "..", "a/../../out2/evil", "..\\evil"]
)
def test_no_path_leaves(tmp_path, name):
    for archive in (
        tar_with(tmp_path / "x.tar", (name, REG, b"1")),
        zip_with(tmp_path / "x.zip", (name, 0, b"1")),
    ):
        with pytest.raises(RuntimeError, match=r"x\.(tar|zip): refused, its member"):
            utils.extract_archive(archive, tmp_path / "out")
    assert not pathlib.Path("/tmp/rushlight_evil").exists()
    assert {path.name for path in tmp_path.iterdir()} <= {"x.tar", "x.zip", "out"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
@pytest.mark.parametrize("target", ["/etc", "..", "inside"])
def test_no_links_and_devices(tmp_path, kind, target):
    archive = tar_with(tmp_path / "x.tar", ("link", kind, target), ("link/evil", REG, b"1"))
    with pytest.raises(RuntimeError, match="'link' is a link or a device"):
        utils.extract_archive(archive, tmp_path / "out")


def test_no_links_in_zip_or_before(tmp_path):
    archive = zip_with(tmp_path / "x.zip", ("link", 0o120777, b"/etc"))
    with pytest.raises(RuntimeError, match="'link' is a link or a device"):
        utils.extract_archive(archive, tmp_path / "out")
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "there").symlink_to(tmp_path / "elsewhere")
    archive = tar_with(tmp_path / "x.tar", ("there/evil", REG, b"1"))
    with pytest.raises(RuntimeError, match="outside"):
        utils.extract_archive(archive, tmp_path / "out")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_damaged_archives(tmp_path):
    noise = os.urandom(5000)
    tar = tar_with(tmp_path / "x.tar.gz", ("a", REG, noise), mode="w:gz")
    archive = zip_with(tmp_path / "x.zip", ("a", 0, noise))
    single = tmp_path / "y.gz"
    single.write_bytes(gzip.compress(noise))
    for path in (tar, archive, single):
        content = path.read_bytes()
        for size in (0, 7, len(content) // 2):
            path.write_bytes(content[:size])
            if path is single and size == 0:
                continue  # an empty .gz holds nothing, and is valid
            with pytest.raises(RuntimeError, match=f"{path.name}: the archive cannot be unpacked"):
                utils.extract_archive(path, tmp_path / "out")
    assert not (tmp_path / "out" / "y").exists()
    assert not (tmp_path / "out" / "a").exists()


def test_small_tools(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "a.png").write_bytes(b"abc")
    assert utils.list_dir(tmp_path) == ["d"]
    assert utils.list_dir(tmp_path, prefix=True) == [str(tmp_path / "d")]
    assert utils.list_files(tmp_path, ".png") == ["a.png"]
    assert utils.list_files(tmp_path, (".png", ".x"), prefix=True) == [str(tmp_path / "a.png")]
    md5 = hashlib.md5(b"abc").hexdigest()
    assert utils.calculate_md5(tmp_path / "a.png", 2) == md5
    assert utils.check_integrity(tmp_path / "a.png", md5)
    assert not utils.check_integrity(tmp_path / "a.png", "0" * 32)
    assert not utils.check_integrity(tmp_path / "b.png")
    with pytest.raises(ValueError, match="Expected type str for argument split, but got type <class 'int'>"):
        utils.verify_str_arg(1, "split")
