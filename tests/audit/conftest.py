"""One small release for all tests of this folder."""

import pytest
from tests.audit.scenes import shared_images
from tests.code_memory import remembered_codes

from medveil.keys.identity import generate
from medveil.mechanisms.code_cache import CodeCache


@pytest.fixture(scope="module", autouse=True)
def _remembered_codes():
    """These tests share the same few pictures over and over."""
    with remembered_codes():
        yield


@pytest.fixture(scope="session")
def auditor(tmp_path_factory):
    return generate(tmp_path_factory.mktemp("keys") / "owner.key")


@pytest.fixture(scope="session")
def scene(tmp_path_factory, auditor):
    """Six patients with two images each in a release, with a preview; one more patient beside it."""
    root = tmp_path_factory.mktemp("scene")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(root / "state"))
        return shared_images(root, auditor, outside=1)


@pytest.fixture(scope="session")
def code_cache():
    """Codes of the scene's images, computed once for all tests."""
    return CodeCache()


@pytest.fixture
def quick(code_cache, monkeypatch):
    """Audits that take codes from the code_cache."""
    monkeypatch.setattr("medveil.audit.targets.keyed.CodeCache", lambda: code_cache)
    monkeypatch.setattr("medveil.attacks.keys.refused_keys.release_kinds", lambda *_: ())  # 300 000 guesses fewer
