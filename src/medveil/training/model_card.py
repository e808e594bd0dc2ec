"""The model card beside a weights file: what it is, what it was trained on, how good it is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Card:
    """What a model card states.

    Attributes:
        name: of the weights.
        sparsity: nonzeros a code vector.
        maps: code maps.
        step: quantisation step in 8-bit grey values.
        weights: SHA-256 of the weights file, hexadecimal.
        training_images: how many.
        validation_images: how many the PSNR below was measured on.
        training_digest: see `digest_of_images`.
        patients_known: whether the split is by patient.
        seed, steps, seconds: of the run.
        psnr, psnr_untrained: mean over the validation images, peak 255; of these weights and of the untrained network.
        data: where the images are from, in words.
        commit: revision of the code.
        note: what else there is to know about the run.
    """

    name: str
    sparsity: int
    maps: int
    step: float
    weights: str
    training_images: int
    validation_images: int
    training_digest: str
    patients_known: bool
    seed: int
    steps: int
    seconds: float
    psnr: float
    psnr_untrained: float
    data: str = "images of the user's own"
    commit: str = ""
    note: str = ""

    def to_markdown(self) -> str:
        split = "by patient" if self.patients_known else "by image: no manifest said who the patients are"
        rows = {
            "weights (SHA-256)": f"`{self.weights}`",
            "code": f"{self.maps} vectors of 256 per 16x16 pixels, one a code map, {self.sparsity} nonzeros a vector",
            "quantisation step": f"{self.step:g} (8-bit grey values)",
            "trained on": f"{self.training_images} images ({self.data})",
            "SHA-256 of the sorted digests of the training images": f"`{self.training_digest}`",
            "validated on": f"{self.validation_images} images; split {split}",
            "validation PSNR, mean, peak 255": f"{self.psnr:.2f} dB (untrained network: {self.psnr_untrained:.2f} dB)",
            "seed, steps, seconds": f"{self.seed}, {self.steps}, {self.seconds:.0f}",
            "commit": self.commit or "not recorded",
        }
        if self.note:
            rows["note"] = self.note
        table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
        return "\n".join(
            [
                f"# {self.name}\n",
                "Weights of the codec `primis` of medveil. They are no secret: no protection rests on them.\n",
                f"| | |\n|---|---|\n{table}\n",
                "The network codes grey images of any size and depth. It was not made for diagnosis, and how well",
                "it keeps images unlike its training images has to be measured.\n",
            ]
        )


def digest_of_images(paths: Sequence[Path]) -> str:
    """SHA-256 over the sorted SHA-256 digests of the files, hexadecimal. It depends on no name and no order."""
    digests = sorted(hashlib.sha256(path.read_bytes()).digest() for path in paths)
    return hashlib.sha256(b"".join(digests)).hexdigest()
