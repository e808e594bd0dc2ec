"""The training loop of attack networks."""

import numpy as np
import pytest
import torch

from medveil.training.loop import Turn, constant, cosine, seeded, train


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
