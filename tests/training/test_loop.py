"""The training loop of attack networks."""

import numpy as np
import pytest
import torch

from medveil.errors import UsageError
from medveil.training.loop import OnDevice, Turn, choose_device, constant, cosine, learned_once, seeded, train


def _line(seed=1):
    with seeded(seed):
        return torch.nn.Linear(1, 1)


def _draw(generator):
    x = torch.from_numpy(generator.normal(size=(16, 1)).astype(np.float32))
    return x, 3 * x + 1


def _turn(network):
    return Turn([network], lambda batch: (network(batch[0]) - batch[1]).square().mean())


def test_it_finds_a_line():
    network = _line()
    course = train([_turn(network)], _draw, steps=300, seed=0, rate=0.05, weight_decay=0.0)
    assert network.weight.item() == pytest.approx(3, abs=0.02)
    assert network.bias.item() == pytest.approx(1, abs=0.02)
    assert course.losses[-1][0] < course.losses[0][0]
    assert course.kept == 300
    assert not network.training


def test_equal_arguments_give_equal_weights_and_others_don_t():
    networks = [_line() for _ in range(3)]
    for network, seed in zip(networks, (4, 4, 5), strict=True):
        train([_turn(network)], _draw, steps=20, seed=seed)
    assert torch.equal(networks[0].weight, networks[1].weight)
    assert not torch.equal(networks[0].weight, networks[2].weight)


def test_dropout_is_repeatable_and_torch_s_generator_left_alone():
    before = torch.get_rng_state()
    found = []
    for _ in range(2):
        with seeded(1):
            network = torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
        train([_turn(network)], _draw, steps=10, seed=2)
        found.append(network[0].weight.detach().clone())
    assert torch.equal(*found)
    assert torch.equal(before, torch.get_rng_state())


def test_the_best_validation_is_kept():
    network, said = _line(), iter([5.0, 1.0, 3.0, 4.0])
    states = []

    def validate():
        assert not network.training
        states.append(network.weight.detach().clone())
        return next(said)

    course = train([_turn(network)], _draw, steps=40, seed=0, validate=validate, checks=4)
    assert course.validation == [5.0, 1.0, 3.0, 4.0]
    assert course.kept == 20
    assert torch.equal(network.weight, states[1])


def test_the_last_is_kept_where_that_is_asked_for():
    network, said = _line(), iter([1.0, 2.0])
    states = []

    def validate():
        states.append(network.weight.detach().clone())
        return next(said)

    course = train([_turn(network)], _draw, steps=10, seed=0, validate=validate, checks=2, keep_best=False)
    assert course.kept == 10
    assert torch.equal(network.weight, states[-1])


def test_turns_update_only_their_own_networks_and_see_what_went_before():
    first, second = _line(1), _line(2)
    seen = []

    def opposed(batch):
        seen.append(first.weight.item())
        return (second(batch[0]) + first(batch[0])).square().mean()

    start = first.weight.item()
    course = train([_turn(first), Turn([second], opposed)], _draw, steps=300, seed=0, rate=0.05, weight_decay=0.0)
    assert seen[0] != start
    assert first.weight.item() == pytest.approx(3, abs=0.05)
    assert second.weight.item() == pytest.approx(-3, abs=0.05)
    assert len(course.losses[0]) == 2


def test_a_clipped_gradient_moves_no_faster_than_its_rate():
    network = _line()
    before = network.weight.item()
    train([_turn(network)], _draw, steps=1, seed=0, rate=0.1, schedule=constant, clip=1e-3, checks=1)
    assert 0 < abs(network.weight.item() - before) <= 0.0101  # the first step is a tenth of the rate: warm-up


def test_weight_decay_draws_towards_zero():
    found = []
    for decay in (0.0, 1.0):
        network = _line()
        train([_turn(network)], _draw, steps=200, seed=0, rate=0.05, weight_decay=decay)
        found.append(network.weight.item())
    assert found[1] < found[0] - 0.3


def test_the_schedule_ends_at_zero():
    assert cosine(0.0) == 1.0
    assert cosine(1.0) == pytest.approx(0.0)
    assert constant(0.7) == 1.0


def test_losses_in_parts_are_their_sum():
    whole, parts = _line(), _line()

    def halves(batch):
        for half in (slice(8), slice(8, None)):
            yield (parts(batch[0][half]) - batch[1][half]).square().sum() / 16

    train([_turn(whole)], _draw, steps=5, seed=0)
    course = train([Turn([parts], halves)], _draw, steps=5, seed=0)
    assert parts.weight.item() == pytest.approx(whole.weight.item(), abs=1e-6)
    assert course.step == 5


def test_weights_have_rates_of_their_own_and_something_follows_each_update():
    network, updates = _line(), []
    bias = network.bias.item()
    turn = Turn([network], _turn(network).loss, 0.1, rates={"bias": 0.0}, after=lambda: updates.append(1))
    train([turn], _draw, steps=7, seed=0, weight_decay=0.0)
    assert network.bias.item() == bias
    assert len(updates) == 7


def test_a_run_ends_when_it_has_not_become_better_for_long():
    said = iter([3.0, 2.0, 2.0, 5.0])
    course = train([_turn(_line())], _draw, steps=100, seed=0, validate=lambda: next(said), checks=10, patience=2)
    assert (course.step, course.stale, course.kept) == (40, 2, 30)


def test_a_network_is_put_on_a_device():
    network = OnDevice(torch.nn.Conv2d(1, 2, 3), "cpu")
    found = network(torch.zeros(2, 1, 8, 8))
    assert found.dtype == torch.float32
    assert found.shape == (2, 2, 6, 6)
    assert network.body.weight.is_contiguous(memory_format=torch.channels_last)
    with pytest.raises(UsageError, match="possible are auto, "):
        choose_device("abacus")


def test_a_network_is_learned_once_from_the_same_and_again_from_anything_else():
    made = []

    def make():
        made.append(torch.nn.Linear(2, 2))
        return made[-1]

    pictures = torch.zeros(3, 2)
    first = learned_once(make, lambda network: network, "once", pictures, 7)
    assert learned_once(make, lambda network: network, "once", pictures.clone(), 7) is first
    others = [("once", pictures, 8), ("once", pictures + 1, 7), ("once", pictures.double(), 7), ("other", pictures, 7)]
    assert all(learned_once(make, lambda network: network, *each) is not first for each in others)
    assert len(made) == 5
