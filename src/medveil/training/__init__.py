"""Training of networks: the loop, checkpoints, data sets, model cards. Needs torch (extra `train`).

Data. Every network is trained by `loop.train`: it draws a batch, lets one optimizer or several take their `Turn`, keeps
the weights of the best check and may leave a `checkpoints.Checkpoint`. `image_files.Pictures` reads training images on
demand as grey values; `primis_training.Trainer` shows them to the network of the learned codec, whose loss is
`primis_loss`; `flow_training` trains those of PriCheXy-Net. `release_dataset.OpenedImages` is a torch data set whose
images are opened in memory, in the workers of a `DataLoader`; `pixel_cache` holds the pixels for the next epoch.

Import:
- `loop`: `train`, `Turn`, `seeded`, `choose_device`.
- `primis_training`: `Settings`, `Trainer`.
- `release_dataset`: `OpenedImages`, its `Part`, `ImageSource`, `Labels`; `medveil.Release(...).dataset(...)` gives one.
- `model_card`: `Card`, `digest_of_images`.

What holds:
- A resumed run is the same run: a checkpoint holds everything that the next step depends on.
- No plain image is written to disk, and an `OpenedImages`, which holds keys, is refused by pickle but for a worker.
- The pixels that `pixel_cache` holds are bounded by stated bytes; what is in it stays until the end.
- Weights are safetensors; their card names the seed and a digest of the training images, those of medveil's own also
  the commit.

This room knows nothing of releases: `releases.dataset` gives `OpenedImages` an `ImageSource` that opens packages.

To add: a loss goes to `primis_loss`, a schedule to `loop`.
"""
