"""What a researcher does with opened images: one class a task, one registry.

Data. A `Gallery` holds the same images in several sets: as they were, and as recipients of each tier open them. A
`Task` gets an `Assignment` (gallery, effort, seed, margin), says which `Unit`s are to be done, and makes of their
products a `TaskResult`: estimates with bounds, questions, curves and overlays, as plain values. Networks learn from
one set and are tested on all.

Import:
- `task`: `Task`, `Assignment`, `TaskEffort`, `do_task`. `results`: `TaskResult` and what it consists of.
  `image_sets.Gallery`.
- `registry`: `all_tasks()`, `chosen_tasks(names)`.

What is where: `classification` (networks in `classifier_training`, figures in `classification_scores`, which classes
can be compared in `comparisons`, what sees no picture in `shortcut_baselines`), `segmentation`
(`segmenter_training`, `segmentation_scores`), `radiomics` (`radiomics_compare`; the features are
`metrics/radiomics/`). All of them split by `datasets/splits`; networks are trained by `training/loop`, on CUDA or MPS
where there is one, on pictures that `training/augmentation` varies.

What holds:
- No patient is both learned from and tested on; thresholds are chosen on validation images.
- *Non-inferior* is said by a bound, of a margin that was named before, and for enough patients only.
- A task that the images don't allow says why in its result; it does not guess.
- The same seed and number of threads give the same numbers on the CPU of one machine; on a GPU nearly the same.

To add a task: a class with the members of `task.Task` in a module of its own, and its line in `registry` (in
another package: the entry point group `medveil.tasks`).
"""
