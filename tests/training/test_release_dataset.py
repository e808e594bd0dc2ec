"""Opened images: scaling by depth, sizes, and a cache that keeps to its bound in every process."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from medveil.errors import UsageError
from medveil.images.image import FileKind, Image, Source
from medveil.training import pixel_cache
from medveil.training.pixel_cache import Kept, PrivateCache, SharedCache, make_cache
from medveil.training.release_dataset import OpenedImages

linux = pytest.mark.skipif(sys.platform != "linux", reason="shared memory without a name is Linux's")


def image_of(pixels, bits, rescale=(1.0, 0.0)):
    return Image.of_pixels(pixels, bits, Source(FileKind.PNG, b""), rescale=rescale)


class Counted:
    """Images that say how often they were opened, in this process."""

    def __init__(self, images):
        self.images, self.opened = images, []

    def __len__(self):
        return len(self.images)

    def open(self, number):
        self.opened.append(number)
        return self.images[number]


def data_of(images, **more):
    settings = {"size": None, "transform": None, "scaling": "range", "cache_bytes": 1 << 20} | more
    source = Counted(images)
    return OpenedImages(source, [f"{n:032x}" for n in range(len(images))], None, **settings), source


_DEPTHS = {
    (np.uint8, 8): (0, 255),
    (np.uint16, 12): (0, 4095),
    (np.uint16, 16): (0, 65535),
    (np.int16, 12): (-2048, 2047),
    (np.int16, 16): (-32768, 32767),
}


@pytest.mark.parametrize(("dtype", "bits"), list(_DEPTHS))
def test_every_depth_comes_out_between_0_and_1(dtype, bits):
    low, high = _DEPTHS[dtype, bits]
    pixels = np.linspace(low, high, 48).round().astype(dtype).reshape(6, 8)
    data, source = data_of([image_of(pixels, bits)])
    expected = (pixels.astype(np.float64) - low) / (high - low)
    for _ in range(2):
        item = data[0]
        assert item.dtype == torch.float32
        assert item.shape == (1, 6, 8)
        assert np.abs(item[0].numpy() - expected).max() < 1e-6
    assert source.opened == [0]


def test_modality_units():
    pixels = np.array([[0, 1000], [2000, 4095]], dtype=np.uint16)
    data, _ = data_of([image_of(pixels, 12, (2.0, -1024.0))], scaling="modality")
    assert data[0].tolist() == [[[-1024.0, 976.0], [2976.0, 7166.0]]]


def test_size_and_transform():
    image = image_of(np.full((50, 30), 51, np.uint8), 8)
    data, _ = data_of([image], size=(16, 24), transform=lambda tensor: tensor * 2)
    assert data[0].shape == (1, 16, 24)
    assert torch.allclose(data[0], torch.tensor(0.4))


@pytest.mark.parametrize("wrong", [{"scaling": "hu"}, {"cache_bytes": -1}, {"size": (0, 8)}])
def test_values_that_are_not_allowed(wrong):
    with pytest.raises(UsageError):
        data_of([image_of(np.zeros((4, 4), np.uint8), 8)], **wrong)


def test_what_a_transform_does_in_place_stays_out_of_the_cache():
    data, _ = data_of([image_of(np.full((4, 4), 255, np.uint8), 8)], transform=lambda tensor: tensor.zero_())
    assert data[0].sum() == 0
    data._transform = None
    assert data[0].sum() == 16


def pictures(count):
    generator = np.random.default_rng(0)
    return [image_of(generator.integers(0, 256, (32, 32), np.uint8), 8) for _ in range(count)]


@pytest.mark.parametrize("room", [0, 1023, 1024, 5 * 1024 + 1000, 1 << 20])
@pytest.mark.parametrize("shared", [pytest.param(True, marks=linux), False])
def test_the_bound_is_kept_and_what_fits_is_opened_once(monkeypatch, room, shared):
    if not shared:
        monkeypatch.setattr(pixel_cache, "SharedCache", _refuse)
    data, source = data_of(pictures(12), cache_bytes=room)
    assert isinstance(data._cache, SharedCache if shared and room else PrivateCache)
    first, second = list(data), list(data)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    fitting = min(12, room // 1024)
    assert data.cached == (fitting, fitting * 1024)
    assert len(source.opened) == 24 - fitting


def _refuse(*_):
    raise OSError("no such memory here")


@linux
@pytest.mark.parametrize("persistent", [True, False])
def test_workers_fill_one_memory(persistent):
    data, source = data_of(pictures(12))
    loader = DataLoader(data, batch_size=2, num_workers=2, shuffle=True, persistent_workers=persistent)
    before = sum(batch.sum() for batch in loader)
    assert data.cached == (12, 12 * 1024)
    assert torch.isclose(sum(batch.sum() for batch in loader), before)
    assert torch.isclose(sum(item.sum() for item in data), before)
    assert source.opened == []  # nothing of it in this process


@linux
def test_many_writers_do_not_mix_up_images():
    data, _ = data_of(pictures(200), cache_bytes=150 * 1024)
    loader = DataLoader(data, batch_size=1, num_workers=2)
    reference = list(data_of(pictures(200), cache_bytes=0)[0])
    for _ in range(2):
        assert all(torch.equal(batch[0], expected) for batch, expected in zip(loader, reference, strict=True))
    assert data.cached == (150, 150 * 1024)


@linux
def test_the_memory_is_gone_with_its_cache():
    import gc
    import os

    def memories():
        links = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if _is_link(name)]
        return sum("medveil" in link for link in links)

    gc.collect()
    before = memories()
    cache = make_cache(3, 1 << 20)
    cache.put(1, Kept(np.ones((2, 2), np.int16), 1.0, 0.0))
    found = cache.get(1)
    assert memories() > before
    del cache
    gc.collect()
    assert found.pixels.tolist() == [[1, 1], [1, 1]]
    del found
    gc.collect()
    assert memories() == before


def _is_link(name):
    import os

    return os.path.islink(f"/proc/self/fd/{name}")
