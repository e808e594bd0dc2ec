"""How images can be published: the levels of a release, and ways that are known to be weak. Attackers train on these.

Data. A `Mechanism` publishes a `Subject` (an image that is coded already) under a key and gives the
`Observation`, which is all that a stranger holds; a `Case` has the truth beside it.

Import:
- `mechanism`: `Mechanism`.
- `observation`: `Observation`, `Case`, `Subject`.
- `levels.mechanism_of`: the protection level of a release as a mechanism; the level is that of `protection.levels`.
- `anonymized.Anonymized`: a method of open release, as anybody can apply it.
- `controls.all_controls()`: mechanisms of which it is known how they come out. `weak_codes` and
  `instance_encodings` are what they are made of.
- `public_codec`: `PublicCodec`, what everybody knows of a codec, as codes and pictures, without any key.
- `working_pictures`: pictures at one size and in one range. `code_cache`: codes that were computed once.

What holds:
- Keys of a mechanism are handed in: this room draws no secret, and everything else about a mechanism is public.
- A control says which attacks must break it, and which must not.

To add a mechanism: a class with the members of `mechanism.Mechanism` in a module of its own; to make it a control,
its line in `controls`, with the leak that it has.
"""
