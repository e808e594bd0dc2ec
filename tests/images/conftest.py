"""Reading bytes as a file, and sending an image through its records as share and open do."""

import numpy as np
import pytest

from medveil import images

TAG_KEY, UID_KEY = b"t" * 32, b"u" * 32


@pytest.fixture
def read(tmp_path):
    """images.read of bytes; the file has a name that must never show."""

    def _read(data):
        path = tmp_path / "smith_jane"
        path.write_bytes(data)
        return images.read(path)

    return _read


@pytest.fixture
def travel():
    """The image that a recipient gets, with or without identity, with these pixels or the original's."""

    def _travel(image, *, identity, pixels=None):
        pixel_record, identity_record = images.records(image, TAG_KEY)
        return images.restore(
            image.pixels if pixels is None else pixels,
            image.bits_stored,
            image.source.kind,
            pixel_record,
            identity_record if identity else b"",
        )

    return _travel


@pytest.fixture
def write():
    """The file of an image."""

    def _write(image, *, loss=None, uid_key=UID_KEY, tier=None):
        tier = tier or ("exact" if loss is None else "diagnostic")
        return images.to_file_bytes(image, loss=loss, uid_key=uid_key, tier=tier)

    return _write


@pytest.fixture
def ramp():
    """Pixels (height, width) of so many bits, with every extreme value in them."""

    def _ramp(height=34, width=48, bits=8, *, signed=False, dtype=None):
        values = np.arange(height * width).reshape(height, width) * 37 % (1 << bits)
        values.flat[0], values.flat[-1] = 0, (1 << bits) - 1
        if signed:
            return (values - (1 << (bits - 1))).astype(dtype or np.int16)
        return values.astype(dtype or (np.uint8 if bits == 8 else np.uint16))

    return _ramp


@pytest.fixture
def smooth():
    """A smooth picture, which lossy and old codecs take."""

    def _smooth(bits=8, *, signed=False):
        rows, columns = np.mgrid[:34, :48]
        values = ((np.sin(rows / 9) + np.cos(columns / 7) + 2) / 4 * ((1 << bits) - 1)).astype(np.int64)
        if signed:
            return (values - (1 << (bits - 1))).astype(np.int16)
        return values.astype(np.uint8 if bits == 8 else np.uint16)

    return _smooth
