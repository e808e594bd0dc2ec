"""Grey pictures in the form of coloured ones: taken as grey, and restored with exact and identity."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo
from tests import image_files

from medveil import images
from medveil.errors import IntegrityError, UnsupportedInputError
from medveil.images import colour_form, record, tiff_directory
from medveil.images.lossy_marking import Loss
from medveil.images.tiff_directory import SHORT, Entry

GREY = (np.indices((13, 18)).sum(axis=0) * 9 % 256).astype(np.uint8)
DEEP = GREY.astype(np.uint16) * 257 - np.arange(18, dtype=np.uint16) * (GREY > 1)
LOSS = Loss(9.0, "TEST")


def _stacked(pixels, channels):
    """Grey as RGB or with opaque alpha."""
    planes = [pixels] * (channels - (channels % 2 == 0))
    if channels % 2 == 0:
        planes.append(np.full_like(pixels, np.iinfo(pixels.dtype).max))
    return np.stack(planes, axis=-1)


def _mode(channels):
    return Pillow.fromarray(_stacked(GREY, channels), {2: "LA", 3: "RGB", 4: "RGBA"}[channels])


def _palette(levels, *, twice=False, flip=False):
    """The picture as indices of a palette of so many greys; with `twice` each grey stands there two times."""
    greys = np.linspace(0, 255, levels).astype(np.uint8)
    greys = greys[::-1] if flip else greys
    indices = (GREY.astype(int) * levels // 256).astype(np.uint8)
    entries = np.repeat(greys, 3)
    if twice:
        entries = np.concatenate([entries, entries])
        indices = np.where(np.indices(indices.shape)[1] % 2, indices, indices.astype(int) + levels).astype(np.uint8)
    picture = Pillow.fromarray(indices, "P")
    picture.putpalette(entries.tobytes())
    return picture, greys[indices.astype(int) % levels]


def _png16(channels, *, interlaced=0):
    """A PNG file of 16-bit samples, each row with another filter; Pillow writes none in colour."""
    samples = _stacked(DEEP, channels)
    rows = samples.astype(">u2").view(np.uint8).reshape(len(DEEP), -1).astype(int)
    step, lines = 2 * channels, []
    for number, row in enumerate(rows):
        kind = number % 3  # none, sub, up
        left = np.concatenate([np.zeros(step, int), row[:-step]])
        above = rows[number - 1] if number else np.zeros_like(row)
        lines.append(bytes([kind]) + ((row - (0, left, above)[kind]) % 256).astype(np.uint8).tobytes())
    colour = {2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", DEEP.shape[1], DEEP.shape[0], 16, colour, 0, 0, interlaced)
    return image_files.png_of(header, zlib.compress(b"".join(lines)))


FILES = {
    **{f"png {mode.mode}": (image_files.png(mode), GREY) for mode in map(_mode, (2, 3, 4))},
    **{f"png {channels} x 16": (_png16(channels), DEEP) for channels in (2, 3, 4)},
    "png RGB, all filters": (image_files.png(_mode(3), optimize=True), GREY),
    **{
        f"png palette of {levels}": (image_files.png(_palette(levels)[0]), _palette(levels)[1])
        for levels in (2, 4, 16, 256)
    },
    "png palette, falling": (image_files.png(_palette(200, flip=True)[0]), _palette(200, flip=True)[1]),
    "png palette, each twice": (image_files.png(_palette(60, twice=True)[0]), _palette(60)[1]),
    "png palette, opaque": (image_files.png(_palette(9)[0], transparency=b"\xff" * 9), _palette(9)[1]),
    "png grey, unused transparency": (image_files.png(GREY // 2, transparency=200), GREY // 2),
    "jpeg RGB": (image_files.jpeg(Pillow.new("RGB", (18, 13), (77, 77, 77)), quality=100), np.full((13, 18), 77)),
    **{f"tiff {mode.mode}": (image_files.tiff(mode), GREY) for mode in map(_mode, (2, 3, 4))},
    **{
        f"tiff RGB {kind}": (image_files.tiff(_mode(3), compression=kind), GREY)
        for kind in ("tiff_lzw", "tiff_adobe_deflate", "packbits")
    },
    "tiff palette": (image_files.tiff(_palette(256)[0]), _palette(256)[1]),
    "tiff palette, each twice, lzw": (
        image_files.tiff(_palette(60, twice=True)[0], compression="tiff_lzw"), _palette(60)[1]
    ),
    **{
        f"tiff {channels} x 16 {order}{' deflated' * packed}{' tiled' * bool(tile)}": (
            image_files.channelled_tiff(
                _stacked(DEEP, channels), order, photometric=1 if channels == 2 else 2, compressed=packed, tile=tile
            ),
            DEEP,
        )
        for channels in (2, 3, 4)
        for order in "<>"
        for packed, tile in ((False, None), (True, None), (True, 16))
    },
}  # fmt: skip


def _opened(data):
    picture = Pillow.open(io.BytesIO(data))
    picture.load()
    return picture


def _seen(data):
    """Mode, values, palette and alpha of a picture, as other libraries give them."""
    if data[:4] == b"\x89PNG":
        picture = _opened(data)
        palette = picture.palette.tobytes() if picture.palette else b""
        return picture.mode, np.asarray(picture).tolist(), palette, picture.info.get("transparency"), data[24:26]
    tifffile = pytest.importorskip("tifffile", reason="needs tifffile, which reads 16 bits in colour")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        palette = None if page.colormap is None else page.colormap.tolist()
        kind = page.photometric, page.samplesperpixel, page.bitspersample, page.extrasamples
        return kind, page.asarray().tolist(), palette


@pytest.mark.parametrize("name", FILES)
def test_it_is_taken_as_grey_and_its_form_restored(read, travel, write, name):
    data, pixels = FILES[name]
    image = read(data)
    assert np.array_equal(image.pixels, pixels)
    whole = write(travel(image, identity=True))
    if name == "jpeg RGB":
        assert (_opened(whole).mode, _opened(whole).format) == ("RGB", "PNG")
        assert np.array_equal(np.asarray(_opened(whole)), np.asarray(_opened(data)))
    else:
        assert _seen(whole) == _seen(data)
    for identity, loss in ((False, None), (True, LOSS), (False, LOSS)):
        plain = _opened(write(travel(image, identity=identity), loss=loss))
        assert plain.mode == ("L" if pixels.max() < 256 else "I;16")
        assert np.array_equal(np.asarray(plain), pixels)
    assert np.array_equal(read(whole).pixels, pixels)
    assert images.same_attributes(read(whole), image) or name == "jpeg RGB"


@pytest.mark.parametrize("channels", [3, 4])
def test_interlaced(read, travel, write, channels):
    """Adam7, written here: no library at hand writes it."""
    samples, rows = _stacked(GREY, channels), []
    for top, left, down, right in [
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ]:
        part = samples[top::down, left::right]
        rows += [b"\0" + row.tobytes() for row in part if part.size]
    header = struct.pack(">IIBBBBB", 18, 13, 8, {3: 2, 4: 6}[channels], 0, 0, 1)
    data = image_files.png_of(header, zlib.compress(b"".join(rows)))
    image = read(data)
    assert np.array_equal(image.pixels, GREY)
    assert _seen(write(travel(image, identity=True))) == _seen(data)


def _changed(mode, place, value):
    samples = np.array(mode)
    samples[place] = value
    return Pillow.fromarray(samples, mode.mode)


def _coloured_palette():
    picture, _ = _palette(16)
    entries = bytearray(picture.palette.tobytes())
    entries[3 * 7] ^= 1
    picture.putpalette(bytes(entries))
    return picture


@pytest.mark.parametrize("write_file", [image_files.png, image_files.tiff])
@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (_changed(_mode(3), (12, 17, 1), 3), "colour"),
        (_changed(_mode(4), (0, 0, 2), 3), "colour"),
        (_changed(_mode(4), (5, 5, 3), 254), "transparent"),
        (_changed(_mode(2), (5, 5, 1), 0), "transparent"),
        (_coloured_palette(), "colour"),
    ],
)
def test_real_colour_and_transparency_are_refused(read, write_file, picture, reason):
    with pytest.raises(UnsupportedInputError, match=reason):
        read(write_file(picture))


def test_a_used_transparent_entry_or_key_is_refused(read):
    for data in (
        image_files.png(_palette(9)[0], transparency=b"\xff" * 8 + b"\xfe"),
        image_files.png(_mode(3), transparency=(9, 9, 9)),
        image_files.png(GREY, transparency=9),
    ):
        with pytest.raises(UnsupportedInputError, match="transparent"):
            read(data)


def test_a_coloured_jpeg_is_refused(read):
    picture = np.array(_mode(3).resize((64, 64)))
    picture[10:30, 10:30, 0] = 250
    with pytest.raises(UnsupportedInputError, match="colour"):
        read(image_files.jpeg(Pillow.fromarray(picture), quality=100))


def test_chunks_that_depend_on_the_form_come_back_with_it_only(read, travel, write):
    info = PngInfo()
    info.add(b"sBIT", b"\5\6\5")
    info.add(b"bKGD", b"\0\1\0\2\0\3")
    info.add_text("Note", "kept")
    buffer = io.BytesIO()
    _mode(3).save(buffer, "PNG", icc_profile=b"an RGB profile", pnginfo=info)
    image = read(buffer.getvalue())
    assert images.colour_profile(image)
    whole, lossy = write(travel(image, identity=True)), write(travel(image, identity=True), loss=LOSS)
    for name in (b"sBIT", b"bKGD", b"iCCP"):
        assert name in whole
        assert name not in lossy
    assert _opened(lossy).info["Note"] == _opened(whole).info["Note"] == "kept"


# ---- records that nobody honest writes -----------------------------------------------------------------------------


def _record_with(kind, **changes):
    forms = {
        "png": {"colour": 3, "bits": 8, "chunks": [[b"PLTE", bytes(range(256)) * 3]], "indices": b""},
        "tiff": {"photometric": 3, "bits": 8, "channels": 1, "extra": 0, "indices": b"",
                 "fields": [[320, 3, bytes(6 << 8)]]},
    }  # fmt: skip
    return record.pack(kind, {"fields": [], "form": {**forms[kind], **changes}})


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("png", {"colour": 1}),
        ("png", {"bits": 16}),
        ("png", {"bits": 3}),
        ("png", {"chunks": [[b"PLTE", b"ab"]]}),
        ("png", {"chunks": []}),
        ("png", {"chunks": [[b"IHDR", b""]]}),
        ("png", {"chunks": [[b"tEXt", b""]]}),
        ("png", {"chunks": [[b"PLTE", "text"]]}),
        ("png", {"indices": 7}),
        ("tiff", {"photometric": 4}),
        ("tiff", {"channels": 3}),
        ("tiff", {"bits": 16}),
        ("tiff", {"fields": []}),
        ("tiff", {"fields": [[256, 3, b"ab"]]}),
        ("tiff", {"fields": [[65000, 3, b"ab"]]}),
    ],
)
def test_a_form_that_is_none_is_refused(kind, changes):
    known = {"depth": 8, "density": b"", "signed": 0, "photometric": 1, "compression": 1, "orientation": 1}
    with pytest.raises(IntegrityError):
        images.restore(GREY, 8, images.FileKind(kind), record.pack(kind, known), _record_with(kind, **changes))


@pytest.mark.parametrize("indices", [b"junk", zlib.compress(b"\0" * 99), zlib.compress(bytes(50 << 20))])
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_a_form_never_changes_a_pixel(write, kind, indices):
    """Indices that give other greys than the pixels, or too many of them."""
    known = {"depth": 8, "density": b"", "signed": 0, "photometric": 1, "compression": 1, "orientation": 1}
    records = record.pack(kind, known), _record_with(kind, indices=indices)
    with pytest.raises(IntegrityError):
        write(images.restore(GREY, 8, images.FileKind(kind), *records))


# ---- orientation ---------------------------------------------------------------------------------------------------


def _exif(orientation, *, order="<"):
    exif = Pillow.Exif()
    exif.endian = order
    exif[0x0112], exif[0x010E], exif[0x0132] = orientation, "Jane Smith 1970", "2026:01:02 03:04:05"
    return exif


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("write_file", [image_files.png, image_files.jpeg, image_files.tiff])
def test_orientation_travels_and_nothing_else_of_exif(read, travel, write, write_file, orientation, order):
    image = read(write_file(Pillow.fromarray(GREY), exif=_exif(orientation, order=order)))
    assert image.pixels.shape == GREY.shape  # not applied
    for identity in (True, False):
        for loss in (None, LOSS):
            out = write(travel(image, identity=identity), loss=loss)
            exif = Pillow.open(io.BytesIO(out)).getexif()
            assert exif[0x0112] == orientation
            assert (exif.get(0x010E) == "Jane Smith 1970") == identity
            assert (b"Jane" in out, b"2026" in out) == (identity, identity)
            assert out.count(b"eXIf") <= 1


@pytest.mark.parametrize(
    "exif", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff" + bytes(30), b"junk" * 9]
)
def test_damaged_exif_has_no_orientation(read, exif):
    info = PngInfo()
    info.add(b"eXIf", exif)
    buffer = io.BytesIO()
    Pillow.fromarray(GREY).save(buffer, "PNG", pnginfo=info)
    assert b"orientation" not in read(buffer.getvalue()).source.pixel_record


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_beyond_8_does_not_travel(read, travel, write, value):
    image = read(image_files.png(Pillow.fromarray(GREY), exif=_exif(value)))
    assert b"eXIf" not in write(travel(image, identity=False))


def _turned_tiffs():
    """Every form of TIFF, to be given an orientation: file, and the pixels as they are stored."""
    forms = {name: (data, pixels) for name, (data, pixels) in FILES.items() if name.startswith("tiff")}
    signed = DEEP.astype(np.int32) - (1 << 15)
    plain = {"grey": GREY, "grey 16": DEEP, "white is zero": GREY, "signed": signed.astype(np.int16)}
    info = {"signed": {339: 2}}
    for compression in (None, "tiff_lzw"):
        for name, pixels in plain.items():
            picture = pixels.view(np.uint16) if name == "signed" else pixels
            data = image_files.tiff(picture, compression=compression, tiffinfo=info.get(name, {}))
            forms[f"tiff {name} {compression}"] = _with_white_as_zero(data) if name == "white is zero" else data, pixels
        greys = _palette(256)
        forms[f"tiff palette {compression}"] = image_files.tiff(greys[0], compression=compression), greys[1]
    for bits in (1, 2, 4):
        forms[f"tiff palette of {bits} bits"] = _small_palette_tiff(bits)
    return forms


def _with_white_as_zero(data):
    place = data.index(struct.pack("<HHI", 262, 3, 1)) + 8
    return data[:place] + bytes(2) + data[place + 2 :]


def _small_palette_tiff(bits):
    """A palette of so many bits, which no library at hand writes."""
    indices = GREY.astype(int) >> (8 - bits)
    levels = np.linspace(0, 255, 1 << bits).astype(np.uint8)
    strip = colour_form.packed_rows(indices, bits).tobytes()
    numbers = {256: GREY.shape[1], 257: GREY.shape[0], 258: bits, 259: 1, 262: 3, 277: 1, 278: 13, 279: len(strip)}
    entries = [Entry(tag, SHORT, struct.pack("<H", value)) for tag, value in numbers.items()]
    entries.append(Entry(320, SHORT, np.tile(levels.astype("<u2") * 257, 3).tobytes()))
    return tiff_directory.write(entries, 273, strip), levels[indices]


def _with_field(data, tag, kind, count, raw):
    """The TIFF file with one more field, in a directory that stands at its end."""
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack_from(order + "I", data, 4)[0]
    number = struct.unpack_from(order + "H", data, start)[0]
    entries = [data[start + 2 + 12 * at : start + 14 + 12 * at] for at in range(number)]
    value = raw if len(raw) <= 4 else struct.pack(order + "I", len(data))
    entries.append(struct.pack(order + "HHI", tag, kind, count) + value.ljust(4, b"\0"))
    entries.sort(key=lambda entry: struct.unpack(order + "H", entry[:2]))
    data += raw + bytes((len(data) + len(raw)) % 2)
    head = data[:4] + struct.pack(order + "I", len(data))
    return head + data[8:] + struct.pack(order + "H", number + 1) + b"".join(entries) + bytes(4)


TURNED = _turned_tiffs()


@pytest.mark.parametrize("name", TURNED)
def test_no_orientation_turns_the_pixels_of_a_tiff(read, travel, write, name):
    """Its field and XMP; libraries that decode apply them."""
    data, pixels = TURNED[name]
    order = "<" if data[:2] == b"II" else ">"
    for orientation in range(9):
        if orientation:
            turned = _with_field(data, 274, SHORT, 1, struct.pack(order + "H", orientation))
        else:
            xmp = b'<x:xmpmeta><r tiff:Orientation="6"/></x:xmpmeta>'
            turned = _with_field(data, 700, 1, len(xmp), xmp)
        image = read(turned)
        assert np.array_equal(image.pixels, pixels), orientation
        again = write(travel(image, identity=orientation % 2 == 0))
        assert np.array_equal(read(again).pixels, pixels), orientation
        assert tiff_directory.read(again)[274].integers == (orientation or 1,)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_no_orientation_turns_the_pixels_of_a_png_or_jpeg(read, travel, write, orientation):
    exif = _exif(orientation)
    for name in [name for name in FILES if name.startswith("png") and "x 16" not in name]:
        data, pixels = FILES[name]
        chunk = struct.pack(">I", len(exif.tobytes()[6:])) + b"eXIf" + exif.tobytes()[6:]
        at = data.index(b"IDAT") - 4
        turned = data[:at] + chunk + struct.pack(">I", zlib.crc32(chunk[4:])) + data[at:]
        image = read(turned)
        assert np.array_equal(image.pixels, pixels), name
        for identity in (True, False):
            assert np.array_equal(read(write(travel(image, identity=identity))).pixels, pixels), name
    for picture in (Pillow.fromarray(GREY), _mode(3)):
        turned, straight = (image_files.jpeg(picture, quality=95, exif=_exif(value)) for value in (orientation, 1))
        assert np.array_equal(read(turned).pixels, read(straight).pixels)
        assert read(turned).pixels.shape == GREY.shape
