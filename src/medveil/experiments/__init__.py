"""What attacks, tasks and audits share: how pieces of an experiment are made, kept and found again.

This room is new and nearly empty: what keeps finished parts is still in `audit.keeping` and `tasks.task`, and moves
here.

Data. Whoever needs a value that takes long to make, such as an opened image or a code, asks a `cache.ByteCache` for it
by key and says how it is made. It comes from memory while it fits; the one that was unused longest makes room.

Import:
- `sampling`: `drawn_by_patient` and `generator_of`: draws of whole patients, each from a seed and a purpose.
- `cache.ByteCache(limit, size)`, then `get(key, make)`.

What holds:
- The values together stay within the stated bytes; the one that was made last stays, however large it is.
- What `make` raises is raised, and nothing is kept of it.
- Nothing is written to disk: what a cache of opened images holds is plain.

To add: what two of `attacks`, `tasks`, `audit` and the benchmarks need in order to run, and which knows none of them.
This room may import `metrics`, `files`, `registry` and `errors` only.
"""
