"""PNG, JPEG and TIFF: pixels, spacing and texts, with and without identity."""

import io
import struct

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import TiffImagePlugin
from PIL.PngImagePlugin import PngInfo
from tests import image_files

from medveil import images
from medveil.errors import IntegrityError, UnreadableInputError, UnsupportedInputError
from medveil.images import record, tiff_directory
from medveil.images.tiff_directory import LONG, Entry

SECRET = "Jane Smith 1970"


def _opened(data):
    picture = Pillow.open(io.BytesIO(data))
    picture.load()
    return picture


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("size", [(1, 1), (17, 401), (34, 48)])
def test_png_pixels_depth_and_spacing(read, travel, write, ramp, bits, size):
    pixels = ramp(*size, bits=bits)
    image = read(image_files.png(pixels, dpi=(254, 127)))
    assert np.array_equal(image.pixels, pixels)
    assert (image.pixels.dtype, image.bits_stored, images.suffix(image)) == (pixels.dtype, bits, ".png")
    assert image.spacing_mm == pytest.approx((0.2, 0.1), rel=1e-3)
    again = _opened(write(travel(image, identity=False)))
    assert np.array_equal(np.asarray(again), pixels)
    assert again.info["dpi"] == pytest.approx((254, 127), rel=1e-3)


def test_png_texts_travel_with_identity_only(read, travel, write, ramp):
    exif = Pillow.Exif()
    exif[0x010E] = SECRET
    data = image_files.png(ramp(), texts=[("Patient", SECRET)], exif=exif, icc_profile=b"profile" + SECRET.encode())
    image = read(data)
    assert SECRET.encode() not in image.source.pixel_record
    whole, bare = write(travel(image, identity=True)), write(travel(image, identity=False))
    assert _opened(whole).info["Patient"] == SECRET
    assert _opened(whole).getexif()[0x010E] == SECRET
    assert _opened(whole).info["icc_profile"].endswith(SECRET.encode())
    assert not _opened(bare).info
    assert [chunk for chunk in (b"tEXt", b"eXIf", b"iCCP", b"tIME") if chunk in bare] == []


def test_png_chunks_keep_their_side_of_the_pixels(read, travel, write, ramp):
    info = PngInfo()
    info.add(b"prVt", b"before")
    info.add(b"prVt", b"behind", after_idat=True)
    buffer = io.BytesIO()
    Pillow.fromarray(ramp()).save(buffer, "PNG", pnginfo=info)
    out = write(travel(read(buffer.getvalue()), identity=True))
    assert out.index(b"before") < out.index(b"IDAT") < out.index(b"behind")


def test_interlaced_png(read, ramp):
    """Adam7, written here: no library at hand writes it."""
    import zlib

    pixels, rows = ramp(13, 11), []
    for top, left, down, right in (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ):
        part = pixels[top::down, left::right]
        rows += [b"\0" + row.tobytes() for row in part if part.size]
    header = struct.pack(">IIBBBBB", 11, 13, 8, 0, 0, 0, 1)
    data = image_files.png_of(header, zlib.compress(b"".join(rows)))
    assert np.array_equal(read(data).pixels, pixels)


def test_png_of_one_bit_is_refused(read):
    with pytest.raises(UnsupportedInputError, match="1 bits a sample"):
        read(image_files.png(Pillow.new("1", (8, 8))))


def test_transparent_and_animated_png_are_refused(read, ramp):
    with pytest.raises(UnsupportedInputError):
        read(image_files.png(ramp(), transparency=3))
    frames = [Pillow.fromarray(ramp() + step) for step in (0, 1)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    with pytest.raises(UnsupportedInputError):
        read(buffer.getvalue())


def test_jpeg_comes_out_as_png(read, travel, write, smooth):
    exif = Pillow.Exif()
    exif[0x010E] = SECRET
    data = image_files.jpeg(smooth(), dpi=(254, 254), comment=SECRET, exif=exif, icc_profile=b"p" * 70_000)
    image = read(data)
    assert np.array_equal(image.pixels, np.asarray(_opened(data)))
    assert image.spacing_mm == pytest.approx((0.1, 0.1), rel=1e-3)
    assert images.suffix(image) == ".png"
    whole, bare = (_opened(write(travel(image, identity=identity))) for identity in (True, False))
    assert whole.info["Comment"] == SECRET
    assert whole.getexif()[0x010E] == SECRET
    assert whole.info["icc_profile"] == b"p" * 70_000
    assert set(bare.info) == {"dpi"}
    assert np.array_equal(np.asarray(bare), image.pixels)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_jpeg_kinds(read, smooth, options):
    assert read(image_files.jpeg(smooth(), **options)).pixels.shape == (34, 48)


def test_colour_and_cut_jpeg_are_refused(read, smooth):
    for coloured in (Pillow.new("RGB", (8, 8), (90, 20, 20)), Pillow.new("CMYK", (8, 8))):
        with pytest.raises(UnsupportedInputError):
            read(image_files.jpeg(coloured))
    with pytest.raises(UnreadableInputError):
        read(image_files.jpeg(smooth())[:-60])


def _tiff_fields(data):
    return dict(Pillow.open(io.BytesIO(data)).tag_v2)  # loading would apply the orientation and drop it


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits"])
@pytest.mark.parametrize("bits", [8, 16])
def test_tiff_pixels_and_spacing(read, travel, write, ramp, bits, compression):
    pixels = ramp(17, 401, bits=bits)
    image = read(image_files.tiff(pixels, compression=compression, dpi=(254, 127)))
    assert np.array_equal(image.pixels, pixels)
    assert (image.pixels.dtype, image.bits_stored, images.suffix(image)) == (pixels.dtype, bits, ".tiff")
    assert image.spacing_mm == pytest.approx((0.2, 0.1))
    out = write(travel(image, identity=False))
    assert np.array_equal(np.asarray(_opened(out)), pixels)
    assert read(out).spacing_mm == pytest.approx((0.2, 0.1))


def test_signed_tiff(read, travel, write, ramp):
    pixels = ramp(bits=16, signed=True)
    image = read(image_files.tiff(pixels.view(np.uint16), tiffinfo={339: 2}))
    assert image.signed
    assert np.array_equal(image.pixels, pixels)
    again = read(write(travel(image, identity=False)))
    assert np.array_equal(again.pixels, pixels)


def test_white_is_zero_and_orientation_are_kept_not_applied(read, travel, write, ramp):
    info = {262: 0, 274: 6}
    data = bytearray(image_files.tiff(ramp(), tiffinfo={274: 6}))
    place = data.index(struct.pack("<HHI", 262, 3, 1)) + 8
    data[place : place + 2] = b"\0\0"
    image = read(bytes(data))
    assert np.array_equal(image.pixels, ramp())
    fields = _tiff_fields(write(travel(image, identity=False)))
    assert {tag: fields[tag] for tag in info} == info


def test_big_endian_tiff(read, travel, write, ramp):
    pixels = ramp(bits=16)
    data = image_files.big_endian_tiff(pixels, SECRET)
    image = read(data)
    assert np.array_equal(image.pixels, pixels)
    out = write(travel(image, identity=True))
    assert out.startswith(b"II")
    assert _tiff_fields(out)[270] == SECRET


def test_tiff_fields_travel_with_identity_only(read, travel, write, ramp):
    fields = TiffImagePlugin.ImageFileDirectory_v2()
    fields[270], fields[306], fields[65000] = SECRET, "2026:01:02 03:04:05", (1.5, 2.5)
    fields.tagtype[65000] = 12
    fields[34665] = {0x9286: SECRET.encode()}
    image = read(image_files.tiff(ramp(), tiffinfo=fields))
    assert SECRET.encode() not in image.source.pixel_record
    whole, bare = write(travel(image, identity=True)), write(travel(image, identity=False))
    found = _tiff_fields(whole)
    assert (found[270], found[306], found[65000]) == (SECRET, "2026:01:02 03:04:05", (1.5, 2.5))
    assert _opened(whole).getexif().get_ifd(34665)[0x9286] == SECRET.encode()
    assert SECRET.encode() not in bare
    assert not {270, 306, 34665, 65000} & set(_tiff_fields(bare))


def test_other_tiffs_are_refused(read, ramp):
    frames = [Pillow.fromarray(ramp()), Pillow.fromarray(ramp())]
    buffer = io.BytesIO()
    frames[0].save(buffer, "TIFF", save_all=True, append_images=frames[1:])
    others = [Pillow.new(mode, (8, 8)) for mode in ("1", "CMYK", "LAB", "F", "I")]
    for data in [buffer.getvalue(), *(image_files.tiff(other) for other in others), b"II+\0" + bytes(60)]:
        with pytest.raises(UnsupportedInputError):
            read(data)


def test_tiffs_of_other_compressions_and_tiles_are_refused(read):
    def made(**changes):
        numbers = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 277: 1, 278: 8, 279: 64} | {
            int(tag[1:]): value for tag, value in changes.items()
        }
        entries = [Entry(tag, LONG, struct.pack("<I", value)) for tag, value in numbers.items()]
        return tiff_directory.write(entries, 273, bytes(64))

    assert read(made()).pixels.shape == (8, 8)
    for changes in ({"t259": 7}, {"t266": 2}, {"t322": 1 << 15, "t323": 1 << 15}):
        with pytest.raises(UnsupportedInputError):
            read(made(**changes))
    with pytest.raises((UnreadableInputError, UnsupportedInputError)):
        read(made(t258=16))


@pytest.mark.parametrize(
    "rows",
    [7, [7], [[1, 2]], [["1", 2, b""]], [[1 << 16, 2, b""]], [[60000, 14, b""]], [[60000, 2, "text"]], [[60000, 2, []]],
     [[256, 3, b"\0\0"]], [[34665, 13, [[34665, 13, [[34665, 13, [[34665, 13, [[1, 2, b""]]]]]]]]]]],
)  # fmt: skip
def test_tiff_fields_of_another_form_are_refused(rows):
    known = {"depth": 8, "signed": 0, "photometric": 1, "compression": 1, "orientation": 1}
    with pytest.raises(IntegrityError):
        images.restore(
            np.zeros((8, 8), np.uint8),
            8,
            images.FileKind.TIFF,
            record.pack("tiff", known),
            record.pack("tiff", {"fields": rows}),
        )
