"""The stranger's picture: what is public, taken at face value."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")

from tests.pictures import picture

from medveil.attacks.reconstruction.keyless_view import stranger_picture
from medveil.codecs.code import Bucket
from medveil.images.intensity import grey_image
from medveil.mechanisms.code_cache import CodeCache
from medveil.mechanisms.controls import (
    Setup,
    control_named,
    primis_space,
    working_image,
)
from medveil.mechanisms.levels import Protection
from medveil.mechanisms.observation import Observation, Subject
from medveil.mechanisms.weak_codes import RevealedCells
from medveil.protection.levels import Encrypted, Sealed
from medveil.protection.rendering import sealed_pixels
from medveil.protection.sealing import PublicCode, PublicMap

S = 64
KEY = bytes(range(32))
SHELF = CodeCache()
WITHOUT_CODEC = SimpleNamespace(name="toy", space=None, in_place=False)
SOMEBODY = Subject(0, 0, 0, grey_image(picture(3, S, S)), picture(3, S, S).astype(np.float32))


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def encoded(plane: np.ndarray) -> Observation:
    return Observation(Bucket(64, 64), encoding=plane.astype(np.float32))


def test_an_unprotected_code_shows_the_picture() -> None:
    mechanism = control_named("unprotected").make(Setup(S, SHELF, KEY))
    found = stranger_picture(mechanism.case_of(SOMEBODY, KEY).observation, mechanism, size=(S, S))
    assert found.shape == (S, S)
    assert found.dtype == np.float32
    assert likeness(found, SOMEBODY.picture) > 0.95


def test_of_a_sealed_code_it_is_what_rendering_shows() -> None:
    mechanism = Protection(primis_space(S, fixed=True), SHELF, image_of=working_image, level=Sealed())
    seen = mechanism.case_of(SOMEBODY, KEY).observation
    maps = tuple(PublicMap(each.cells, each.positions, each.values < 0) for each in seen.maps)
    space = mechanism.space
    rendered = sealed_pixels(PublicCode(maps, seen.stream), space.coding, seen.bucket)
    found = stranger_picture(seen, mechanism)
    assert np.array_equal(found, space.working_picture(rendered, seen.bucket))
    assert abs(likeness(found, SOMEBODY.picture)) < 0.3


def test_cells_that_were_told_are_decoded_alone() -> None:
    mechanism = RevealedCells(primis_space(S, fixed=True), SHELF, share=1.0, image_of=working_image)
    found = stranger_picture(mechanism.case_of(SOMEBODY, KEY).observation, mechanism)
    assert likeness(found, SOMEBODY.picture) > 0.95


def test_encrypted_bytes_are_grey_values() -> None:
    mechanism = Protection(primis_space(S, fixed=False), SHELF, image_of=working_image, level=Encrypted())
    seen = mechanism.case_of(SOMEBODY, KEY).observation
    found = stranger_picture(seen, mechanism, 16)
    assert found.shape == (16, 16)
    assert list(found.ravel()[:100]) == list(seen.stream[:100])


def test_rows_that_are_patches_are_laid_out_as_a_grid_of_patches() -> None:
    whole = picture(5, 24, 24).astype(np.float32) - 100
    patches = whole.reshape(3, 8, 3, 8).transpose(0, 2, 1, 3).reshape(9, 64)
    found = stranger_picture(encoded(patches), WITHOUT_CODEC, 24)
    assert found.min() >= 0
    assert found.max() <= 255
    assert likeness(found, whole) > 0.9


def test_random_signs_of_pixels_are_taken_off() -> None:
    whole = 1 + picture(6, 32, 32).astype(np.float32)
    signs = np.where(np.random.default_rng(0).random((32, 32)) < 0.5, -1, 1)
    assert likeness(stranger_picture(encoded(whole * signs), WITHOUT_CODEC, 32), whole) > 0.9


def test_the_scale_of_an_encoding_says_nothing() -> None:
    whole = np.random.default_rng(1).standard_normal((32, 32))
    first, second = (stranger_picture(encoded(scale * whole), WITHOUT_CODEC, 32) for scale in (1e-3, 1e4))
    assert np.allclose(first, second, atol=0.1)


def test_where_there_is_nothing_it_is_grey() -> None:
    for seen in (Observation(Bucket(64, 64)), encoded(np.zeros((8, 8)))):
        assert (stranger_picture(seen, WITHOUT_CODEC, 32) == 128).all()
