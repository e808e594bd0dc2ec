"""The PRIMIS network: bank encoder, L code maps of 256 channels, grouped projection, top-S, tied decoder."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, cast

import torch
from torch import Tensor, nn

from medveil.networks.lapped_bases import CHANNELS, OVERLAP, Frame, analyse, frequency_order, lapped_rows, synthesise
from medveil.networks.primis_bank import BankEncoder
from medveil.networks.top_s import Selection, spreading, top_s_mask

# Grey values in 8-bit units span 0 ... 255; the bank sees them divided by this.
_GREY_SCALE = 64.0
_MAX_MAPS = 8
_BLOCKS = (2, 4, 8, 16)


@dataclass(frozen=True)
class PrimisConfig:
    """Shape of a PRIMIS network.

    Attributes:
        sparsity: S, the total number of nonzeros a code vector.
        blocks: for each code map the (vertical, horizontal) DCT block sizes of the orthogonal basis it starts from.
        selection: magnitude or signed top-S.
        spread: whether code vectors are spread over the grid (see selection.spreading) or hold one location each.
        bank_channels, bank_strides: the bank encoder; the strides multiply to 16.
        sweeps: how often the encoder passes over the code maps.
        growth: sweep t of n keeps round(S * (t / n) ** growth) nonzeros a vector.
        polish: conjugate gradient steps on the values once the support is fixed.
    """

    sparsity: int
    blocks: tuple[tuple[int, int], ...] = ((16, 16), (16, 16), (8, 8), (4, 4))
    selection: Selection = Selection.MAGNITUDE
    spread: bool = True
    bank_channels: tuple[int, ...] = (1, 12, 24)
    bank_strides: tuple[int, ...] = (4, 4)
    sweeps: int = 6
    growth: float = 0.5
    polish: int = 2

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def least_weights(self) -> int:
        """A lower bound on the number of weights, from the projections and the convolutions of 5 by 5 alone."""
        return len(self.blocks) * CHANNELS * CHANNELS + sum(25 * count * count for count in self.bank_channels)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> PrimisConfig:
        """The configuration of `to_json`. Raises ValueError or TypeError for one that no network has."""
        known = {f.name for f in fields(cls)}
        if set(value) != known:
            raise ValueError(f"a PRIMIS configuration has the fields {sorted(known)}; found {sorted(value)}")
        blocks = tuple((v, h) for v, h in value["blocks"])
        counts = [*value["bank_channels"], *value["bank_strides"], value["sparsity"], value["sweeps"], value["polish"]]
        if not 1 <= len(blocks) <= _MAX_MAPS or not all(
            type(n) is int and n in _BLOCKS for pair in blocks for n in pair
        ):
            raise ValueError("a PRIMIS network has 1 to 8 code maps, of blocks of 2, 4, 8 or 16")
        if not all(type(n) is int and 0 <= n < 1 << 16 for n in counts):
            raise ValueError("a PRIMIS configuration holds numbers out of range")
        return cls(
            **value
            | {
                "blocks": blocks,
                "selection": Selection(value["selection"]),
                "bank_channels": tuple(value["bank_channels"]),
                "bank_strides": tuple(value["bank_strides"]),
            }
        )


@dataclass(frozen=True)
class Pursuit:
    """What the encoder found.

    Attributes:
        codes: (L, locations, 256) real coefficients, at most S nonzeros a code vector.
        residual: the region minus its synthesis, in grey values; zero where the mask is zero.
        first: (L, locations, 256) the coefficients of the first sweep before selection.
        gains: (L, locations, 256) the bank's log gains that took part in the selection.
    """

    codes: Tensor
    residual: Tensor
    first: Tensor
    gains: Tensor


class PrimisNetwork(nn.Module):
    """Region of grey values <-> L code maps of 256 channels at stride 16, each code vector S-sparse.

    Source: PRIMIS (Shiri et al. 2024) as described in docs; what differs from it, and why:

    * Code map l starts as a lapped orthogonal transform T_l (32x32 support, stride 16) followed by its projection
      U_l = identity, kept orthogonal in training. Analysis is U_l T_l, synthesis its exact adjoint T_l' U_l', which is
      its inverse too: the decoder is tied in the sense of the word.
    * Layered successive encoding: map l codes what the maps before it left over (block coordinate relaxation over
      orthogonal bases, with a support that grows over the sweeps), then all values are fitted together.
    * Competition runs over the 256 channels of one code vector, whose cells are spread over the grid.
    * The bank encoder is the non-linear branch: it moves the first choice of cells, and no values. It starts at zero.
    """

    projection: Tensor

    def __init__(self, config: PrimisConfig) -> None:
        super().__init__()
        self.config = config
        maps = len(config.blocks)
        self.projection = nn.Parameter(torch.eye(CHANNELS).repeat(maps, 1, 1))
        self.bank = BankEncoder(config.bank_channels, config.bank_strides, maps * CHANNELS)
        self._orders = tuple(tuple(frequency_order(blocks).tolist()) for blocks in config.blocks)
        rows = [[lapped_rows(block).float() for block in blocks] for blocks in config.blocks]
        self.register_buffer("vertical", torch.stack([v for v, _ in rows]), persistent=False)
        self.register_buffer("horizontal", torch.stack([h for _, h in rows]), persistent=False)

    @property
    def maps(self) -> int:
        return len(self.config.blocks)

    def order(self, code_map: int) -> tuple[int, ...]:
        """The channels of a code map, lowest frequency first."""
        return self._orders[code_map]

    def analyse_map(self, region: Tensor, frame: Frame, code_map: int) -> Tensor:
        """Coefficients (locations, 256) of one code map, before selection."""
        vertical, horizontal = cast(Tensor, self.vertical), cast(Tensor, self.horizontal)
        cells = analyse(frame.extend(region), vertical[code_map], horizontal[code_map])
        return cells @ self.projection[code_map].T

    def synthesise_map(self, coefficients: Tensor, frame: Frame, code_map: int) -> Tensor:
        """Exact adjoint of `analyse_map`."""
        vertical, horizontal = cast(Tensor, self.vertical), cast(Tensor, self.horizontal)
        cells = coefficients @ self.projection[code_map]
        return frame.fold(synthesise(cells, frame.rows, frame.columns, vertical[code_map], horizontal[code_map]))

    def synthesise(self, codes: Tensor, frame: Frame, maps: int | None = None) -> Tensor:
        """The linear decoder: sum over the first `maps` code maps (all of them by default)."""
        wanted = self.maps if maps is None else maps
        return torch.stack([self.synthesise_map(codes[i], frame, i) for i in range(wanted)]).sum(0)

    def gains(self, region: Tensor, frame: Frame) -> Tensor:
        """The bank's opinion of each cell, (L, locations, 256), in natural-log units of the score.

        A bank that is still at zero is not run, except in training.
        """
        if not self.bank.head.weight.any() and not cast(Tensor, self.bank.head.bias).any() and not self.training:
            return region.new_zeros(self.maps, frame.locations, CHANNELS)
        inner = frame.extend(region)[OVERLAP:-OVERLAP, OVERLAP:-OVERLAP]
        out = self.bank((inner / _GREY_SCALE)[None, None])
        return cast(Tensor, out.reshape(self.maps, CHANNELS, frame.locations).transpose(1, 2))

    def to_vectors(self, cells: Tensor, frame: Frame, code_map: int) -> Tensor:
        """Cells by location (locations, 256) -> code vectors (vectors, 256). A permutation."""
        if not self.config.spread:
            return cells
        forward, _ = spreading(frame.rows, frame.columns, code_map, self._orders[code_map])
        return cells.reshape(-1)[forward].reshape(-1, CHANNELS)

    def from_vectors(self, vectors: Tensor, frame: Frame, code_map: int) -> Tensor:
        """Inverse of `to_vectors`."""
        if not self.config.spread:
            return vectors
        _, inverse = spreading(frame.rows, frame.columns, code_map, self._orders[code_map])
        return vectors.reshape(-1)[inverse].reshape(-1, CHANNELS)

    def select(self, coefficients: Tensor, gain: Tensor | None, frame: Frame, code_map: int, sparsity: int) -> Tensor:
        """The top-S non-linearity of one code map: (locations, 256) -> the same with the losers set to zero."""
        scores = self.to_vectors(coefficients if gain is None else coefficients * gain.exp(), frame, code_map)
        mask = top_s_mask(scores, sparsity, self.config.selection)
        return coefficients * self.from_vectors(mask, frame, code_map)

    @torch.no_grad()
    def pursue(
        self, region: Tensor, frame: Frame, mask: Tensor | None = None, gains: Tensor | None = None,
        sweeps: int | None = None
    ) -> Pursuit:  # fmt: skip
        """Encode one region.

        Args:
            region: grey values in 8-bit units minus the offset; where the mask is 0, any smooth continuation.
            frame: the grid of the region.
            mask: 1 where a pixel counts, 0 where it is padding; None where all count.
            gains: the bank's log gains, where they have been computed already.
            sweeps: in place of the configuration's.
        """
        config = self.config
        gains = self.gains(region, frame) if gains is None else gains.detach()
        codes: list[Tensor] = []
        first: list[Tensor] = []
        residual = region
        count = config.sweeps if sweeps is None else sweeps
        for sweep in range(count):
            share = ((sweep + 1) / count) ** config.growth
            sparsity = max(1, round(config.sparsity * share))
            for i in range(self.maps):
                found = self.analyse_map(residual, frame, i)
                if sweep == 0:
                    first.append(found)
                    codes.append(torch.zeros_like(found))
                chosen = self.select(codes[i] + found, gains[i] if sweep == 0 else None, frame, i, sparsity)
                residual = residual - self.synthesise_map(chosen - codes[i], frame, i)
                residual = residual if mask is None else residual * mask
                codes[i] = chosen
        fitted, residual = self._polish(torch.stack(codes), residual, frame, mask)
        return Pursuit(fitted, residual, torch.stack(first), gains)

    def _polish(self, codes: Tensor, residual: Tensor, frame: Frame, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Least squares on the fixed support, by conjugate gradients."""
        support = codes != 0

        def gradient(r: Tensor) -> Tensor:
            return torch.stack([self.analyse_map(r, frame, i) for i in range(self.maps)]) * support

        step = gradient(residual)
        direction, energy = step, step.square().sum()
        for _ in range(self.config.polish):
            change = self.synthesise(direction, frame)
            change = change if mask is None else change * mask
            length = energy / change.square().sum().clamp_min(1e-12)
            codes, residual = codes + length * direction, residual - length * change
            step = gradient(residual)
            following = step.square().sum()
            direction, energy = step + following / energy.clamp_min(1e-12) * direction, following
        return codes, residual

    @torch.no_grad()
    def retract(self) -> None:
        """Bring every projection back to the nearest orthogonal matrix, by two Newton-Schulz steps."""
        for _ in range(2):
            p = self.projection
            self.projection.copy_(1.5 * p - 0.5 * p @ p.transpose(1, 2) @ p)
