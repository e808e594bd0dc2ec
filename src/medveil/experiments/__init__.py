"""What attacks, tasks, audits and benchmarks share: pieces of an experiment, done, kept and found again.

Data. A `Plan` lists `Unit`s: small pieces of work that know nothing of each other, each with a key and a callable that
gives a `Product`, arrays and JSON values. `run` does those that a `UnitStore` has not yet, keeps each when it ends, and
returns the `Result` of every one: done, refused or failed. What a value is made from and takes long, such as an opened
image or the images that several units attack, comes from a `ByteCache`.

Import:
- `unit`: `Unit`, `Plan`, `Product`, `Result`, `Status`.
- `unit_store.UnitStore(folder, settings)`, and `runner.run(plan, store, executor, progress)`.
- `progress.Progress(report)`: what is being done, and about how long the rest takes.
- `sampling`: `drawn_by_patient` and `generator_of`: draws of whole patients, each from a seed and a purpose.
- `cache.ByteCache(limit, size)`, then `get(key, make)`.

What holds:
- An interrupted run goes on with the same results, in any order and with any executor of the standard library.
- An InputError, a UsageError or a MissingDependencyError refuses a unit, with its message. Any other error fails it,
  and only the name of its class is told.
- A full disk, a unit that could not be kept, lack of memory and Ctrl-C end the run.
- Units that were done or refused are kept; a failed one is tried again. Files are npz without pickles, 0600.

To add: what two of `attacks`, `tasks`, `audit` and the benchmarks need in order to run, and which knows none of them.
This room may import `metrics`, `files`, `registry` and `errors` only.
"""
