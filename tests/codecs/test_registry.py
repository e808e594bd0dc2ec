import pytest

from medveil.codecs import registry
from medveil.codecs.lapped.codec import LappedCodec
from medveil.errors import UsageError


def test_the_default_codec_is_always_available() -> None:
    assert isinstance(registry.get_codec("lapped"), LappedCodec)
    assert ("lapped", True) in {(each.name, each.ok) for each in registry.available()}


def test_an_unknown_name_lists_the_choices_and_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"lapped.*primis") as caught:
        registry.get_codec("laped")
    assert "lapped" in caught.value.hint


def test_a_codec_can_be_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.CODECS, "_registered", {})

    @registry.register_codec("own")
    class Own(LappedCodec):
        name = "own"

    assert isinstance(registry.get_codec("own"), Own)
    assert "own" in {each.name for each in registry.available()}
