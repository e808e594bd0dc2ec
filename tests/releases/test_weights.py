"""The codec's weights in a release: own ones are sealed, and everybody who opens anything has them."""

import hashlib

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

from tests.releases.conftest import on_the_founders_machine
from tests.releases.looks import ring_of

from medveil.errors import IntegrityError, MissingDependencyError, TargetExistsError
from medveil.keys.tiers import Tier
from medveil.releases.granting import Request, grant
from medveil.releases.opening import open_release
from medveil.releases.release import Release
from medveil.releases.rotating import rotate
from medveil.releases.settings import ShareSettings
from medveil.releases.sharing import share
from medveil.releases.verifying import verify
from medveil.releases.weights import codec_of, weights_of


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A folder as `medveil train` writes it, with weights that nobody else has."""
    from medveil.codecs.primis.codec import MODEL_FILE, shipped_weights
    from medveil.codecs.primis.weights_file import load_model, save_model

    folder = tmp_path_factory.mktemp("codec")
    model = load_model(shipped_weights(4))
    save_model(folder / MODEL_FILE, model.network, model.step * 1.01)
    return folder


@pytest.fixture
def data(own):
    (path,) = own.glob("*.safetensors")
    return path.read_bytes()


def make(folder, pictures, people, codec, **more):
    alice = people["alice"].recipient
    wanted = ShareSettings(to=(alice,), codec=str(codec), sparsity=4, jobs=1, **more)
    share([pictures / "a"], folder / "release", wanted, owner=people["owner"])
    return folder / "release"


@pytest.fixture(scope="module")
def sealed_made(tmp_path_factory, made, people, own):
    folder = tmp_path_factory.mktemp("sealed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        return make(folder, made / "originals", people, own)


@pytest.fixture
def sealed(tmp_path, sealed_made):
    """This test's own copy of a release of one picture, with own weights that were not published, where it was made."""
    return on_the_founders_machine(sealed_made.parent, tmp_path / "release")


def test_own_weights_are_sealed_for_the_recipients(tmp_path, sealed, people, data):
    digest = hashlib.sha256(data).digest()
    (file,) = (sealed / "weights").iterdir()
    assert file.name == f"{digest.hex()}.0.sealed"
    for path in sealed.rglob("*"):
        assert not path.is_file() or data[5000:5100] not in path.read_bytes()
    assert verify(sealed).packages == 1
    manifest = Release(sealed).manifest
    assert manifest.weights == ()
    assert weights_of(sealed, manifest, None) is None
    assert weights_of(sealed, manifest, ring_of(sealed, people["alice"])) == data
    with pytest.raises(MissingDependencyError):
        codec_of(sealed, manifest, None)
    assert open_release(sealed, tmp_path / "opened", identity=people["alice"], jobs=1).done == 1


def test_own_weights_are_not_published_by_sharing_again(tmp_path, sealed, pictures, people, own):
    with pytest.raises(TargetExistsError, match="--publish-weights"):
        make(tmp_path, pictures, people, own, publish_weights=True)
    assert verify(sealed).packages == 1
    codecs = (str(own), "primis", "lapped")
    assert [ShareSettings(codec=codec).has_own_weights for codec in codecs] == [True, False, False]


def test_a_changed_weights_file_is_found(sealed, people):
    (file,) = (sealed / "weights").iterdir()
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    for look in (lambda: verify(sealed), lambda: list(Release(sealed).open(people["alice"]))):
        with pytest.raises(IntegrityError, match="sealed file was changed"):
            look()
    file.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        verify(sealed)


def test_published_weights_are_for_everybody(tmp_path, pictures, people, own, data):
    release = make(tmp_path, pictures, people, own, publish_weights=True)
    digest = hashlib.sha256(data).digest()
    assert (release / "weights" / f"{digest.hex()}.safetensors").read_bytes() == data
    assert codec_of(release, Release(release).manifest, None).name == "primis"


def test_shipped_weights_are_public_in_any_case(tmp_path, pictures, people):
    release = make(tmp_path, pictures, people, "primis")
    manifest = Release(release).manifest
    assert (len(manifest.weights), manifest.shared) == (1, ())
    assert open_release(release, tmp_path / "opened", identity=people["alice"], jobs=1).done == 1


def test_weights_that_were_left_out_are_asked_for(tmp_path, pictures, people, own):
    release = make(tmp_path, pictures, people, own, embed=False)
    assert not (release / "weights").exists()
    with pytest.raises(MissingDependencyError, match="weights of its own"):
        list(Release(release).open(people["alice"]))


def test_who_opens_one_package_has_the_weights_too(tmp_path, sealed, people, data):
    mallory = people["mallory"].recipient
    only = Release(sealed).manifest.packages[0].package.hex()
    grant(sealed, Request((mallory,), {mallory: Tier.DIAGNOSTIC}, only=(only,)), people["owner"])
    assert weights_of(sealed, Release(sealed).manifest, ring_of(sealed, people["mallory"])) == data
    assert open_release(sealed, tmp_path / "opened", identity=people["mallory"], jobs=1).done == 1


def test_a_rotation_seals_them_anew(pictures, sealed, people, data):
    kept, before = ring_of(sealed, people["alice"]), list(Release(sealed).open(people["alice"]))
    share([pictures / "b" / "IM1.png"], sealed, ShareSettings(add=True, jobs=1), owner=people["owner"])
    rotate(sealed, people["owner"], jobs=1)
    (file,) = (sealed / "weights").iterdir()
    assert file.name.endswith(".1.sealed")
    manifest = Release(sealed).manifest
    assert weights_of(sealed, manifest, kept) is None
    assert weights_of(sealed, manifest, ring_of(sealed, people["alice"])) == data
    after = list(Release(sealed).open(people["alice"]))
    assert len(after) == 2
    assert any(np.array_equal(before[0].pixels, image.pixels) for image in after)
