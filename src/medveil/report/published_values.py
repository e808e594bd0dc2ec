"""What others published, to stand beside our own figures: tables 1 and 4 of Shiri et al. 2024 (PRIMIS), as printed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedRow:
    """One printed row: mean ± SD each, grey values of 0 … 255, PSNR in dB."""

    label: str
    mae: str
    me: str
    rmse: str
    psnr: str
    ssim: str


FIDELITY = (
    PublishedRow("PRIMIS, S_x = 4", "9.35 ± 8.19", "9.35 ± 8.19", "37.63 ± 9.22", "16.86 ± 2.03", "0.48 ± 0.05"),
    PublishedRow("PRIMIS, S_x = 8", "1.07 ± 0.27", "1.07 ± 0.27", "5.06 ± 1.29", "34.29 ± 2.06", "0.95 ± 0.01"),
    PublishedRow("PRIMIS, S_x = 16", "0.71 ± 0.20", "0.71 ± 0.20", "3.08 ± 0.58", "38.48 ± 1.56", "0.98 ± 0.01"),
)
R_SQUARED = "R² as published: 0.7306, 0.9991 and 0.9999 for S_x = 4, 8 and 16; pooling not stated."
ATTACKS = {
    "unet": PublishedRow("U-Net", "22.93 ± 4.67", "−0.63 ± 11.47", "29.50 ± 5.45", "18.90 ± 1.49", "0.51 ± 0.06"),
    "vnet": PublishedRow("V-Net", "23.60 ± 4.51", "−4.57 ± 11.47", "30.27 ± 5.26", "18.67 ± 1.45", "0.50 ± 0.06"),
    "cgan": PublishedRow("GAN", "21.67 ± 5.70", "4.68 ± 11.33", "27.95 ± 6.68", "19.44 ± 1.83", "0.54 ± 0.07"),
    "cyclegan": PublishedRow("CycleGAN", "31.13 ± 6.38", "5.36 ± 13.82", "40.33 ± 7.12", "16.16 ± 1.32", "0.36 ± 0.04"),
}
SOURCE = "Shiri et al. 2024, tables 1 and 4, as printed"
FIDELITY_CAUTIONS = (
    "Other images, another scale: about 160 000 chest radiographs in patches of 64 × 64. Ours are the images of this "
    "release, whole, brought to one size.",
    "In the published table mean error and mean absolute error are equal in every row, and their ratio to the RMSE is "
    "smaller than errors of any usual kind have: they are probably not what they are called. Compare RMSE, PSNR and "
    "SSIM.",
    "The published R² do not follow from the published RMSE for images of 8 bits. Whether metrics were taken by patch "
    "or by image, and the window of SSIM, are not stated.",
)
ATTACK_CAUTIONS = (
    "The published attackers had 160 000 images, S_x = 16, and the picture that decoding without the key gives; their "
    "architectures' details and training lengths are not stated.",
    "A picture's SSIM or PSNR alone is not leakage: the mean of other people's images reaches similar values. That is "
    "why ours stand beside what the same attacker makes of another package.",
    "No linkage of patients was tried in the publication.",
)
