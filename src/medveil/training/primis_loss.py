"""What a PRIMIS network is trained to make small, for one picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from medveil.networks.lapped_bases import CHANNELS, STRIDE, Frame
from medveil.networks.primis import PrimisNetwork, Pursuit

# How sharply the bank is asked to tell the winners of a code vector from the losers, per unit of log score.
_SHARPNESS = 3.0
# Keeps the log of the error finite on pictures that are coded exactly.
_LEAST_MSE = 1e-3


@dataclass(frozen=True)
class Objective:
    """Loss of one picture.

    Attributes:
        loss: scalar with gradients: log MSE of the decoder + the bank's share.
        psnr: PSNR of the decoder, peak 255, over the true pixels, quantised.
    """

    loss: Tensor
    psnr: float


def picture_objective(
    network: PrimisNetwork, region: Tensor, mask: Tensor, *, step: float, sweeps: int, bank_weight: float,
    autocast: bool
) -> Objective:  # fmt: skip
    """The objective of one picture (H, W; multiples of 16), with quantisation in the loop.

    The codes are found without gradients. On the chosen support their values are (nearly) optimal, so the gradient of
    the error with respect to the projections is that at fixed codes: no gradient has to pass through the top-S.
    The log of the MSE is used because the figure of merit is a mean of PSNRs.

    Args:
        mask: 1 where a pixel counts.
        step: quantisation step of the levels.
        sweeps: of the encoder; fewer than in use are enough to learn from.
        bank_weight: weight of the bank's share of the loss; with 0 the bank is not run.
        autocast: run the bank in bfloat16.
    """
    frame = Frame(region.shape[0] // STRIDE, region.shape[1] // STRIDE)
    gains = region.new_zeros(network.maps, frame.locations, CHANNELS)
    pursuit = network.pursue(region, frame, mask, gains, sweeps)
    codes = torch.round(pursuit.codes / step) * step
    error = ((network.synthesise(codes, frame) - region) * mask).square().sum() / mask.sum()
    loss = (error + _LEAST_MSE).log()
    if bank_weight:
        with torch.autocast(region.device.type, torch.bfloat16, enabled=autocast):
            gains = network.gains(region, frame).float()
        loss = loss + bank_weight * bank_loss(network, pursuit, gains, frame)
    return Objective(loss, 20 * math.log10(255) - 10 * math.log10(float(error.detach()) + 1e-9))


def bank_loss(network: PrimisNetwork, pursuit: Pursuit, gains: Tensor, frame: Frame) -> Tensor:
    """Cross entropy between what the first sweep would choose with these gains and what the last sweep chose.

    The pursuit has to be one without gains: a bank that is taught by its own choices drives unused cells out for good.
    """
    config = network.config
    total = gains.new_zeros(())
    for i in range(network.maps):
        scores = (pursuit.first[i].abs() + 1e-2).log() + gains[i]
        chosen = (pursuit.codes[i] != 0).float()
        scores, chosen = (network.to_vectors(t, frame, i) for t in (scores, chosen))
        threshold = scores.detach().topk(config.sparsity, dim=1, sorted=False)[0].amin(1, keepdim=True)
        logits = _SHARPNESS * (scores - threshold)
        total = total + torch.nn.functional.binary_cross_entropy_with_logits(logits, chosen)
    return total / network.maps
