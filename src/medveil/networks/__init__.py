"""Builders of networks, nothing else: no data, no training loop, no file.

Data. Tensors (n, 1, H, W) in, tensors out. A builder takes a name or a few numbers and returns a torch module with
fresh weights (one classifier begins from ImageNet); whoever trains it is in `training`, `attacks` or `tasks`.

Import:
- `primis`: `PrimisConfig`, `PrimisNetwork`; with `primis_bank` (its encoder), `lapped_bases` (what it starts from) and
  `top_s` (which cells stay nonzero). `primis_inference`: whole pictures through it, in tiles of bounded memory.
- `classifiers`: `build_classifier(name, classes)`. `segmenters`: `build_segmenter(name)`. Both by name, from MONAI.
- `translators`: U-Net, V-Net and discriminator of the picture attacks. `code_decoders`: networks that read codes.
- `embedders`: networks that know people again: a small one, and two published ones on ResNets from MONAI.
- `flow_fields`: `FlowGenerator`, which moves the pixels of a picture.

What holds:
- torch is imported at the head of these modules, so other rooms import them inside the function that needs them.
- Segmenters and translators take pictures of any size: they pad to what they need, and cut what comes out.
- torchvision is not needed, and not installed.

To add a classifier or segmenter: its builder and its name in that module, and a line in docs/reference.md. A network
of an attack: `code_decoders`, `translators` or `embedders`.
"""
