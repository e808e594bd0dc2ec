"""What an adversary would do: one class an attack, one registry. The way of publishing is passed in.

Data. A `Mechanism` publishes a `Subject` (an image that is coded already) under a key and gives `Published`: the
`Observation`, which is all that a stranger holds, and the truth beside it. An `Attack` gets `Knowledge` (the
mechanism, the attacker's own cases, every observation under attack, how much it may spend, a seed) and learns from it;
the `Attacker` that comes out makes a `Guess` of one observation: a picture, scores of cells, an embedding, or None of
these.

Import:
- `attack` (`Attack`, `Attacker`, `Guess`, `Knowledge`, `Effort`), `observation` and `mechanism`: the interfaces.
- `registry`: `chosen_attacks(names)`, `all_attacks()`; `controls.all_controls()`.
- `protections.mechanism_of`: the protection levels of a release as mechanisms. `weak_codes`, `weak_lengths` and
  `weak_pictures` are the controls: mechanisms of which it is known how they come out.
- `codespace.CodeSpace`: what everybody knows of a codec, as codes and pictures, without any key.

What holds:
- An attack sees no key of the packages under attack; a seed and a purpose decide everything that it draws.
- What an attack makes is not judged here: pairing, bounds and verdicts are `audit`'s.
- torch is imported by the modules that train, when an attack is asked for.

To add an attack: a class with the attributes and methods of `attack.Attack` in a module of its own, and its line in
`registry` (in another package: the entry point group `medveil.attacks`). Name in `beats` the controls that it is
expected to break; where it is alone with its idea, add a control with that leak. `tests/attacks/` has the toys to try
it on.
"""
