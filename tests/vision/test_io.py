"""Picture files."""

import io

import numpy as np
import pytest

import rushlight
from rushlight.vision.io import (
    ImageReadMode,
    decode_gif,
    decode_image,
    decode_jpeg,
    decode_png,
    decode_webp,
    encode_jpeg,
    encode_png,
    read_file,
    read_image,
    write_file,
    write_jpeg,
    write_png,
)

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(2)


def pixels(channels=3, height=6, width=7):
    return rushlight.from_numpy(RNG.integers(0, 256, (channels, height, width), np.uint8))


def saved(image, **options):
    """The bytes of the file of a PIL image."""
    memory = io.BytesIO()
    image.save(memory, **options)
    return rushlight.from_numpy(np.frombuffer(memory.getvalue(), np.uint8).copy())


@pytest.mark.parametrize("channels", [1, 3])
def test_png_round_trip(tmp_path, channels):
    image = pixels(channels)
    for level in (0, 6, 9):
        write_png(image, tmp_path / "x.png", compression_level=level)
        assert rushlight.equal(read_image(tmp_path / "x.png"), image)
    for read in (decode_image, decode_png):
        assert rushlight.equal(read(encode_png(image)), image)
    assert rushlight.equal(decode_image(str(tmp_path / "x.png")), image)
    assert rushlight.equal(read_file(tmp_path / "x.png"), encode_png(image, 9))


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg(tmp_path, channels):
    ramp = rushlight.arange(0, 240, 5, dtype=rushlight.uint8).repeat(channels, 20, 1)
    write_jpeg(ramp, tmp_path / "x.jpg", quality=95)
    found = decode_image(tmp_path / "x.jpg")
    assert found.shape == ramp.shape
    assert (found.int() - ramp.int()).abs().max() < 8
    one, two = encode_jpeg([ramp, ramp], quality=95)
    assert rushlight.equal(one, two)
    assert all(rushlight.equal(item, found) for item in decode_jpeg([one, two]))
    array = ramp.permute(1, 2, 0).numpy()
    expected = saved(Image.fromarray(array[:, :, 0] if channels == 1 else array), format="JPEG", quality=95)
    assert rushlight.equal(one, expected)


@pytest.mark.parametrize("mode", [mode for mode in ImageReadMode if mode.value])
@pytest.mark.parametrize("source", ["L", "LA", "RGB", "RGBA", "P", "1"])
def test_modes(mode, source):
    image = Image.frombytes("RGB", (5, 4), RNG.integers(0, 256, 60, np.uint8).tobytes()).convert(source)
    found = decode_image(saved(image, format="PNG"), mode)
    expected = np.array(image.convert({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[mode.value]))
    assert found.shape == (mode.value, 4, 5)
    assert np.array_equal(found.permute(1, 2, 0).numpy().reshape(expected.shape), expected)
    assert rushlight.equal(decode_image(saved(image, format="PNG"), mode.name.lower()), found)


def test_unchanged():
    grey = RNG.integers(0, 65536, (4, 5)).astype(np.uint16)
    found = decode_image(saved(Image.fromarray(grey), format="PNG"))
    assert found.dtype is rushlight.uint16
    assert np.array_equal(found[0].numpy(), grey)
    for mode, channels in (("1", 1), ("L", 1), ("P", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4)):
        assert decode_image(saved(Image.new(mode, (5, 4)), format="PNG")).shape == (channels, 4, 5)
    assert decode_image(saved(Image.new("CMYK", (5, 4)), format="JPEG")).shape == (4, 4, 5)
    assert decode_image(saved(Image.new("CMYK", (5, 4)), format="JPEG"), "RGB").shape == (3, 4, 5)
    assert ImageReadMode.RGBA is ImageReadMode.RGB_ALPHA


def test_orientation():
    image = Image.frombytes("RGB", (5, 4), RNG.integers(0, 256, 60, np.uint8).tobytes())
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter
    data = saved(image, format="PNG", exif=exif)
    assert decode_image(data).shape == (3, 4, 5)
    turned = decode_image(data, apply_exif_orientation=True)
    assert rushlight.equal(turned, rushlight.rot90(decode_image(data), -1, (1, 2)))


def test_gif_and_webp():
    frames = [Image.new("RGB", (5, 4), color) for color in ("red", "blue", "green")]
    data = saved(frames[0], format="GIF", save_all=True, append_images=frames[1:])
    assert decode_gif(data).shape == (3, 3, 4, 5)
    assert decode_image(data)[1, :, 0, 0].tolist() == [0, 0, 255]
    assert decode_image(saved(frames[0], format="GIF")).shape == (3, 4, 5)
    webp = saved(frames[1], format="WEBP", lossless=True)
    assert decode_webp(webp)[:, 2, 2].tolist() == [0, 0, 255]


def test_damaged(tmp_path):
    image = encode_png(pixels(3, 40, 40))
    write_file(tmp_path / "short.png", image[: len(image) // 2])
    write_file(tmp_path / "text.png", rushlight.tensor(list(b"no picture"), dtype=rushlight.uint8))
    write_file(tmp_path / "empty.png", rushlight.zeros(0, dtype=rushlight.uint8))
    for name in ("short.png", "text.png", "empty.png"):
        with pytest.raises(RuntimeError, match=name):
            decode_image(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="absent"):
        read_image(tmp_path / "absent.png")
    jpeg = encode_jpeg(pixels(3, 40, 40))
    with pytest.raises(RuntimeError, match="damaged"):
        decode_jpeg(jpeg[: len(jpeg) // 2])
    with pytest.raises(RuntimeError, match="no PNG picture"):
        decode_png(jpeg)


def test_errors(tmp_path):
    for call in (encode_png, encode_jpeg):
        for wrong, message in (
            (pixels().float(), "Input tensor dtype should be uint8"),
            (pixels()[0], "Input data should be a 3-dimensional tensor"),
            (pixels(2), "The number of channels should be 1 or 3, got: 2"),
        ):
            with pytest.raises(RuntimeError, match=message):
                call(wrong)
    with pytest.raises(RuntimeError, match="between 0 and 9"):
        encode_png(pixels(), 10)
    for quality in (0, 101):
        with pytest.raises(ValueError, match="between 1 and 100"):
            encode_jpeg(pixels(), quality)
    with pytest.raises(ValueError, match="at least one"):
        encode_jpeg([])
    with pytest.raises(ValueError, match="at least one"):
        decode_jpeg([])
    with pytest.raises(RuntimeError, match="1-dimensional"):
        write_file(tmp_path / "x", pixels())
    with pytest.raises(RuntimeError, match="uint8"):
        decode_image(rushlight.zeros(4))
