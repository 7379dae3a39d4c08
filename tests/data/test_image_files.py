"""Folders of images: exact where nothing is asked, refused by name where anything would be lost."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from raycollapse.data import AnyData, Files
from raycollapse.data.decoding import resize
from raycollapse.errors import RequestError

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8)
GRAY = COLOUR[..., 0].copy()


def _files(path: Path, **fields: Any) -> Files:
    return Files(path=path, num_train=1, **fields)


def _save(path: Path, pixels: NDArray[Any], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def _png_of_16_bit_rgb(path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 12, 16, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress((b"\0" + bytes(16 * 3 * 2)) * 12))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b""))


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".TIFF", ".PNG"])
@pytest.mark.parametrize("pixels", [COLOUR, GRAY], ids=["rgb", "gray"])
def test_lossless_formats_come_back_exactly(tmp_path: Path, suffix: str, pixels: NDArray[np.uint8]) -> None:
    _save(tmp_path / f"a{suffix}", pixels)
    loaded = _files(tmp_path).load()
    assert np.array_equal(loaded.images[0], pixels.reshape(12, 16, -1))
    assert loaded.labels is None


@pytest.mark.parametrize(("suffix", "options"), [(".webp", {"lossless": True}), (".tif", {"compression": "tiff_lzw"})])
def test_losslessly_compressed_files_come_back_exactly(tmp_path: Path, suffix: str, options: dict[str, Any]) -> None:
    _save(tmp_path / f"a{suffix}", COLOUR, **options)
    assert np.array_equal(_files(tmp_path).load().images[0], COLOUR)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_lossy_formats_come_back_nearly(tmp_path: Path, suffix: str) -> None:
    smooth = np.broadcast_to(np.linspace(0, 255, 16).astype(np.uint8)[None, :, None], (12, 16, 3)).copy()
    _save(tmp_path / f"a{suffix}", smooth, quality=95)
    error = _files(tmp_path).load().images[0].astype(int) - smooth
    assert np.abs(error).mean() < 4


@pytest.mark.parametrize("mode", ["P", "1"])
def test_palette_and_bilevel_images_are_converted_without_loss(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(COLOUR).convert(mode)
    image.save(tmp_path / "a.png")
    expected = np.asarray(image.convert("RGB" if mode == "P" else "L")).reshape(12, 16, -1)
    assert np.array_equal(_files(tmp_path).load().images[0], expected)


def test_files_are_read_in_the_order_of_their_relative_names_at_any_depth(tmp_path: Path) -> None:
    for value, name in enumerate(["a/2.png", "a/10.png", "b.png", "a.png", "c/d/e.png"]):
        _save(tmp_path / name, np.full((4, 4), value, np.uint8))
    assert _files(tmp_path).load().images[:, 0, 0, 0].tolist() == [3, 1, 0, 2, 4]


def test_hidden_files_and_files_of_other_kinds_are_ignored(tmp_path: Path) -> None:
    _save(tmp_path / "a.png", GRAY)
    (tmp_path / "README.txt").write_text("no image")
    (tmp_path / "._a.png").write_text("left behind by another system")
    _save(tmp_path / ".thumbnails" / "a.png", GRAY[:3, :3])
    assert len(_files(tmp_path).load()) == 1


def test_a_photo_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 270 degrees to show
    _save(tmp_path / "a.png", COLOUR, exif=exif)
    assert np.array_equal(_files(tmp_path).load().images[0], np.rot90(COLOUR, k=3))


def test_the_shape_is_known_from_the_first_image(tmp_path: Path) -> None:
    _save(tmp_path / "a.png", COLOUR)
    assert _files(tmp_path).shape_hint() == (12, 16, 3)
    assert _files(tmp_path, image_size=8).shape_hint() == (8, 8, 3)


def test_resizing_to_a_half_averages_over_the_image() -> None:
    loaded = resize(np.full((2, 8, 8, 1), 77, np.uint8), 4)
    assert np.array_equal(loaded, np.full((2, 4, 4, 1), 77))


def test_resizing_does_not_alias() -> None:
    stripes = np.zeros((1, 64, 64, 1), np.uint8)
    stripes[:, :, ::2] = 255  # the finest pattern there is: taking every fourth pixel would give all 255 or all 0
    inner = resize(stripes, 16)[0, 2:-2, 2:-2, 0]
    assert np.abs(inner.astype(int) - 127.5).max() < 8


def test_resizing_keeps_a_smooth_ramp() -> None:
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, None, :, None] * 4, (1, 64, 64, 3))
    halved = resize(ramp, 32)[0, :, 4:-4].astype(int)
    expected = 4 * (2 * np.arange(32) + 0.5)[None, 4:-4, None]  # the centre of each pair of pixels
    assert np.abs(halved - expected).max() <= 1


def test_resizing_cuts_out_the_centred_square_and_mixes_sizes(tmp_path: Path) -> None:
    wide = np.zeros((8, 16, 3), np.uint8)
    wide[:, 4:12] = 200
    _save(tmp_path / "wide.png", wide)
    _save(tmp_path / "square.png", np.full((32, 32, 3), 50, np.uint8))
    images = _files(tmp_path, image_size=8).load().images
    assert images.shape == (2, 8, 8, 3)
    assert [np.unique(image).tolist() for image in images] == [[50], [200]]


def test_images_that_have_the_size_asked_for_are_left_alone(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    _save(tmp_path / "a.png", pixels)
    assert np.array_equal(_files(tmp_path, image_size=8).load().images[0], pixels)


def _text(path: Path) -> None:
    path.write_text("this is no image")


def _truncated(path: Path) -> None:
    _save(path, COLOUR)
    contents = path.read_bytes()
    path.write_bytes(contents[: len(contents) * 9 // 10])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _gif(path: Path) -> None:
    Image.fromarray(GRAY).save(path, format="GIF")


def _in_mode(mode: str) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(COLOUR).convert(mode).save(path)


def _transparent_palette(path: Path) -> None:
    Image.fromarray(COLOUR).convert("P").save(path, transparency=3)


def _gray_of_16_bits(path: Path) -> None:
    Image.fromarray(GRAY.astype(np.uint16) * 256).save(path)


def _animated(path: Path) -> None:
    Image.fromarray(COLOUR).save(path, save_all=True, append_images=[Image.fromarray(COLOUR[::-1])])


BAD_IMAGES: list[tuple[str, Callable[[Path], None], str]] = [
    ("text.png", _text, "cannot be read as an image .*no PNG, JPEG.*Remove it"),
    ("empty.jpg", _empty, "cannot be read as an image"),
    ("gif.png", _gif, "cannot be read as an image"),
    ("truncated.png", _truncated, "cannot be read as an image .*truncated"),
    ("truncated.jpg", _truncated, "cannot be read as an image .*truncated"),
    ("truncated.bmp", _truncated, "cannot be read as an image"),
    ("truncated.tif", _truncated, "cannot be read as an image"),
    ("truncated.webp", _truncated, "cannot be read as an image"),
    ("alpha.png", _in_mode("RGBA"), r"has transparency \(RGBA\)\. Convert it: .*convert\('RGB'\)"),
    ("gray_alpha.png", _in_mode("LA"), r"has transparency \(LA\)"),
    ("palette_alpha.png", _transparent_palette, r"has transparency \(P\)"),
    ("alpha.tif", _in_mode("RGBA"), r"has transparency"),
    ("print.jpg", _in_mode("CMYK"), "is CMYK; images must be grayscale or RGB"),
    ("lab.tif", _in_mode("LAB"), "is LAB"),
    ("deep.png", _gray_of_16_bits, r"has more than 8 bits a channel \(I;16.*Scale it to 0\.\.255"),
    ("deep.tif", _gray_of_16_bits, "has more than 8 bits a channel"),
    ("deep_rgb.png", _png_of_16_bit_rgb, r"has more than 8 bits a channel \(RGB;16B\)"),
    ("float.tif", _in_mode("F"), "has more than 8 bits a channel"),
    ("pages.tif", _animated, "holds 2 frames"),
    ("moving.webp", _animated, "holds 2 frames"),
    ("moving.png", _animated, "holds 2 frames"),
]


@pytest.mark.parametrize(("name", "write", "message"), BAD_IMAGES, ids=[name for name, _, _ in BAD_IMAGES])
def test_an_unfit_image_is_an_error_that_names_it(
    tmp_path: Path, name: str, write: Callable[[Path], None], message: str
) -> None:
    _save(tmp_path / "a_good_one.png", COLOUR)
    write(tmp_path / name)
    with pytest.raises(RequestError, match=f"{name} {message}"):
        _files(tmp_path).load()


@pytest.mark.filterwarnings("ignore")  # Pillow's own, on broken tags and on sizes that cannot be
def test_files_cut_or_altered_anywhere_give_pixels_or_an_error_that_names_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for suffix, options in [(".png", {}), (".jpg", {"exif": Image.Exif()}), (".bmp", {}), (".webp", {}), (".tif", {})]:
        path = _save(tmp_path / f"a{suffix}", COLOUR, **options)
        contents = path.read_bytes()
        for _ in range(60):
            damaged = np.frombuffer(contents, np.uint8).copy()
            damaged[rng.integers(0, min(120, len(damaged)), 3)] = rng.integers(0, 256, 3)
            path.write_bytes(damaged[: rng.integers(0, len(damaged) + 1)].tobytes())
            try:
                assert _files(tmp_path).load().images.dtype == np.uint8
            except RequestError as error:
                assert path.name in str(error)
        path.unlink()


def test_mixed_sizes_name_two_files_that_differ_and_the_remedy(tmp_path: Path) -> None:
    for name, pixels in [("a.png", COLOUR), ("b.png", COLOUR), ("c.png", COLOUR[:6])]:
        _save(tmp_path / name, pixels)
    with pytest.raises(RequestError, match=r"a\.png is 12 x 16 but .*c\.png is 6 x 16 .*Set data\.image_size"):
        _files(tmp_path).load()


def test_mixed_channels_name_two_files_that_differ_and_the_remedy(tmp_path: Path) -> None:
    _save(tmp_path / "a.png", COLOUR)
    _save(tmp_path / "b.png", GRAY)
    with pytest.raises(RequestError, match=r"a\.png is RGB but .*b\.png is grayscale\. Convert all"):
        _files(tmp_path).load()
    with pytest.raises(RequestError, match="Convert all"):
        _files(tmp_path, image_size=4).load()


@pytest.mark.parametrize("others", [[], ["notes.txt"], [".hidden.png"]])
def test_a_folder_without_images_is_an_error_that_says_what_is_read(tmp_path: Path, others: list[str]) -> None:
    for name in others:
        (tmp_path / name).write_text("text")
    with pytest.raises(RequestError, match=rf"{tmp_path} holds no images \(\.png, .*no \.parquet files"):
        _files(tmp_path).load()


def test_too_few_images_name_the_folder(tmp_path: Path) -> None:
    _save(tmp_path / "a.png", COLOUR)
    with pytest.raises(RequestError, match=rf"is 2 but {tmp_path} has 1 images"):
        _files(tmp_path).split(seed=0)


def test_paths_are_made_absolute_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in ("images", "./images/../images", "~/images", tmp_path / "images"):
        source: Any = TypeAdapter(AnyData).validate_python({"name": "files", "path": given, "num_train": 1})
        assert source.path == tmp_path / "images"


def test_a_path_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=f"there is no file or folder {tmp_path}/nowhere"):
        _files(tmp_path / "nowhere")


def test_a_path_that_has_gone_since_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    source = _files(tmp_path / "images")
    (tmp_path / "images").rmdir()
    with pytest.raises(RequestError, match=r"images is not there, on this machine"):
        source.load()


def test_a_file_of_another_kind_is_refused_by_name(tmp_path: Path) -> None:
    _save(tmp_path / "a.png", COLOUR)
    with pytest.raises(ValidationError, match=r"a\.png must be a folder, an \.npz or a \.parquet file"):
        _files(tmp_path / "a.png")
