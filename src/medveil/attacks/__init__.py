"""What an adversary would do: one class an attack, one registry. The way of publishing is passed in.

Data. An `Attack` gets `Knowledge` (the mechanism that published, the attacker's own cases, every observation under
attack, how much it may spend, a seed) and is fitted to it; the `Attacker` that comes out predicts a `Guess` of one
observation: a picture, scores of cells, an embedding, or None of these. Mechanisms and observations are those of the
room `mechanisms`.

By goal:
- `support`: which shown entries are true ones.
- `reconstruction`: what the picture looks like.
- `reidentification`: which images are of one person.
- `keys`: whether a key can be guessed, or is no key at all.

Import:
- `attack` (`Attack`, `Attacker`, `Goal`, `Guess`, `Knowledge`, `Effort`): the interface.
- `applicability` (`Need`, `unmet_need`): which attack fits which target, and why one does not.
- `registry`: `chosen_attacks(names)`, `all_attacks()`.

What holds:
- An attack sees no key of the packages under attack; a seed and a purpose decide everything that it draws.
- What an attack makes is not judged here: pairing, bounds and verdicts are `audit`'s.
- torch is imported by the modules that train, when an attack is asked for.

To add an attack: a class with the attributes and `fit` of `attack.Attack` in a module of its own, its line in
`registry` (in another package: the entry point group `medveil.attacks`) and its row in
`mechanisms.expected_breaks` (in another package: an attribute `beats`): the controls that it is expected to break.
Where it is alone with its idea, add a control with that leak. `tests/attacks/` has the toys to try it on.
"""
