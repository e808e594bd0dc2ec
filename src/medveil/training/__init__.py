"""Training of networks: loops, checkpoints, data sets, model cards. Needs torch (extra `train`).

Data. `pictures.Pictures` reads training images on demand as grey values, `loop.Trainer` trains the network of the
learned codec on them towards `objective`, writes `checkpoints`, and ends with weights and a model `card`.
`descent.descend` is the small loop of the attacks' networks. `opened.OpenedImages` is a torch data set whose images
are opened in memory, in the workers of a `DataLoader`; `kept` holds the pixels for the next epoch.

Import:
- `loop`: `Settings`, `Trainer`. `descent`: `descend`, `Turn`, `Course`. `devices.choose_device`.
- `opened`: `OpenedImages`, `Source`, `Labels`; users get one from `medveil.Release(...).dataset(...)`.
- `card`: `Card`, `digest_of_images`.

What holds:
- A resumed run is the same run: a checkpoint holds everything that the next step depends on.
- No plain image is written to disk, and an `OpenedImages`, which holds keys, is refused by pickle but for a worker.
- The pixels that `kept` holds are bounded by stated bytes; what is in it stays until the end.
- Weights are safetensors; their card names the seed and a digest of the training images, those of medveil's own also
  the commit.

This room knows nothing of releases: `releases.dataset` gives `OpenedImages` a `Source` that opens packages.

To add: a loss goes to `objective`, a schedule to `descent`. The loops of tasks are still in `tasks`.
"""
