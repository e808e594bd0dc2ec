"""Makes the integer tables of codec `lapped` from training images.

    python tools/calibrate_lapped.py weights IMAGES_FOLDER --images 110 -o significance_tables.py
    python tools/calibrate_lapped.py budgets IMAGES_FOLDER --images 50 --deep CT.npy -o lapped_tables.py
    python tools/calibrate_lapped.py lengths IMAGES_FOLDER --images 100 -o packed_tables.py

IMAGES_FOLDER holds manifest.csv (columns image, fold, source) and the pictures that it names. Only rows of fold `train`
are read, and none of source ieee8023, whose licence is not for every use. --deep is a stack of CT slices (n, height,
width) in Hounsfield units. The output holds the assignments of a table module; they have effect once they are in the
module of that name in src/medveil/codecs: weights first, then budgets, then lengths, which follow from the budgets.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from medveil.codecs.code import Bucket, Composition, MapShape, Profile
from medveil.codecs.entropy import pack
from medveil.codecs.lapped import encoder, scan_order, significance, tables
from medveil.codecs.lapped.codec import LappedCodec
from medveil.codecs.lapped.rate_allocation import composition_of, step_of
from medveil.codecs.lapped.side_information import Side
from medveil.codecs.lapped.significance import DIAGONALS, FEATURES, FRACTION_BITS, PHASES, Surroundings, Zone
from medveil.codecs.lapped.transform import STRIDE, UNIT, forward
from medveil.images.image import FileKind, Image, Source
from medveil.metrics.image_quality import psnr
from medveil.protection.sealing import public_bytes

WEIGHT_STEPS = (7.0, 13.0, 20.0)
STEPS = (4.0, 6.0, 9.0, 12.0, 14.5, 17.0, 22.0, 32.0, 50.0, 80.0, 120.0, 180.0, 270.0)
DEEP_STEPS = (2.0, 4.0, 7.0, 9.0, 12.0, 16.0, 22.0, 30.0, 45.0, 80.0, 160.0, 320.0)
DEEP_SEALED_AT_40, DEEP_ENCRYPTED_AT_40 = 13.0, 7.0
"""Steps that give about 2 HU of error on CT slices: what a quality of 40 stands for above 8 bits."""
DEAD_ZONE = 0.62
"""Least magnitude in steps that counts as a nonzero when densities are measured."""
SHARPENING = (
    (1e-9, 0.15),
    (0.004, 0.15),
    (0.011, 0.25),
    (0.03, 0.4),
    (0.072, 0.6),
    (0.145, 0.81),
    (0.25, 0.98),
    (0.385, 1.06),
    (0.52, 1.07),
    (0.66, 1.09),
    (1.0, 1.09),
)
"""(density, factor): nonzeros are moved to where they are likely, since a rare one costs more bits; found on the val
fold at 40 dB, where it saves 5 % of a sealed code."""
LEVELS_MORE, LEARNING = 1.03, 1.035
QUALITY_SHIFT = ((3000, 5), (3500, 5), (4000, 26), (4500, 48), (6000, 50))
"""(1/100 dB, 1/100 dB): what is added to the quality measured on few training images, checked on the val fold."""
STEP_SHIFT = 30
LENGTH_STEPS = (1.5, 2.5, 5.0, 7.5, 11.0, 16.0, 23.0, 35.0, 60.0, 110.0, 200.0, 350.0)
"""Steps at which the length and the quality of packed codes are measured; between them both are interpolated."""
DEEP_SHARE = 920
"""Length of a packed code above 8 bits in thousandths of a sealed one, set by hand: noisy CT slices come out as their
sealed ones do at 920 to 955, quiet ones at half."""

Coefficients = np.ndarray


def pictures(folder: Path, count: int, seed: int) -> list[np.ndarray]:
    with (folder / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == "train" and row["source"] != "ieee8023"]
    chosen = sorted(np.random.default_rng(seed).permutation(len(rows))[:count])
    return [np.asarray(Picture.open(folder / rows[index]["image"]).convert("L")) for index in chosen]


def coefficients_of(pixels: np.ndarray) -> Coefficients:
    height, width = pixels.shape
    padded = np.pad(pixels.astype(np.float32), ((0, -height % STRIDE), (0, -width % STRIDE)), mode="edge")
    return forward(padded)


def zones_of(
    coefficients: Coefficients, step: float, tables: tuple[Callable, Callable]
) -> Iterator[tuple[Zone, np.ndarray, np.ndarray]]:
    """(zone, features, magnitudes after quantisation) of all zones of an image."""
    blocks = coefficients.reshape(STRIDE, STRIDE, *coefficients.shape[1:])
    surroundings = Surroundings(*coefficients.shape[1:])
    floor = (encoder.dead_zones() * step).astype(np.float32)
    for zone in (Zone(diagonal, phase) for diagonal in DIAGONALS for phase in range(len(PHASES))):
        shape = surroundings.shape(zone)
        if 0 in shape:
            continue
        features = surroundings.features(zone)
        keys = surroundings.keys(zone, tables[0](zone), tables[1](zone))
        sizes = np.abs(scan_order.ZoneCells(zone, shape).get(blocks))
        levels = np.where(sizes >= floor[keys], encoder.levels_of(sizes, step), 0)
        surroundings.observe(zone, levels.reshape(shape))
        yield zone, features, levels.reshape(shape)


def fit_weights(images: list[Coefficients], rounds: int = 2) -> tuple[dict, dict]:
    """Weighted least squares of the magnitudes, weights not negative; (weights, bases) by (diagonal, kind)."""
    tables = (scan_order.weights_of, scan_order.base_of)
    weights: dict = {}
    bases: dict = {}
    for _ in range(rounds):
        sums: dict = {}
        for image in images:
            for step in WEIGHT_STEPS:
                for zone, features, levels in zones_of(image, step, tables):
                    accumulate(sums, zone, features, levels, tables)
        for key, (squares, products) in sums.items():
            solution = nonnegative(squares, products, key[1])
            weights[key], bases[key] = solution[:FEATURES], solution[FEATURES:]
        tables = (
            lambda zone: weights[zone.diagonal, zone.kind].astype(np.float32),
            lambda zone: bases[zone.diagonal, zone.kind].astype(np.float32),
        )
    return weights, bases


def accumulate(sums: dict, zone: Zone, features: np.ndarray, levels: np.ndarray, tables: tuple) -> None:
    count = features.shape[1]
    flat = features.reshape(FEATURES, count, -1).astype(np.float64)
    wanted = np.minimum(levels.reshape(count, -1), significance.CAP)
    expected = np.tensordot(tables[0](zone), flat, 1) + tables[1](zone)[:, None]
    expected = np.maximum(expected / (1 << FRACTION_BITS), 0)
    trust = 1 / (np.maximum(expected, 0.0005) + 0.05 * expected**2)
    size = FEATURES + count
    squares, products = sums.setdefault((zone.diagonal, zone.kind), (np.zeros((size, size)), np.zeros(size)))
    weighted = flat * trust
    squares[:FEATURES, :FEATURES] += np.tensordot(weighted, flat, ((1, 2), (1, 2)))
    squares[:FEATURES, FEATURES:] += weighted.sum(2)
    squares[FEATURES:, :FEATURES] += weighted.sum(2).T
    squares[FEATURES:, FEATURES:] += np.diag(trust.sum(1))
    products[:FEATURES] += (weighted * wanted).sum((1, 2))
    products[FEATURES:] += (trust * wanted).sum(1)


def nonnegative(squares: np.ndarray, products: np.ndarray, kind: int) -> np.ndarray:
    """Integer solution of scale 2**14, with the features that would have negative weights left out one by one."""
    used = np.ones(len(products), bool)
    used[FEATURES - 2 : FEATURES] = [kind == 2, kind > 0]
    while True:
        index = np.flatnonzero(used)
        part = squares[np.ix_(index, index)]
        solution = np.linalg.solve(part + np.diag(1e-6 * np.diag(part) + 1e-9), products[index])
        negative = (solution < 0) & (index < FEATURES)
        if not negative.any():
            break
        used[index[negative][np.argmin(solution[negative])]] = False
    full = np.zeros(len(products))
    full[index] = solution
    return np.round(full * (1 << FRACTION_BITS)).astype(int)


def cells_of(total: int) -> list[int]:
    stops = total * np.cumsum(tables.CELLS_PPM) // 1_000_000
    return [int(cells) for cells in np.diff(stops, prepend=0)]


def measure(images: list[Coefficients], step: float) -> tuple[list[int], int, tuple[int, ...]]:
    """(density of each map in ppm, level bits in 1/1000 a cell, thresholds), means over images at one step."""
    maps = len(tables.CELLS_PPM)
    density, bits, histogram = np.zeros(maps), 0.0, np.zeros(256, np.int64)
    for image in images:
        total = image[1:].size
        least = np.full(maps, DEAD_ZONE * step, np.float32)
        picture = encoder._Picture(image)
        survey = encoder._surveyed(picture, int(step * UNIT), least, tables.THRESHOLDS, None)
        histogram += np.bincount(np.concatenate(survey.falling), minlength=256)[::-1]
        _, groups = survey.regrouped(cells_of(total))
        kept = [sizes[sizes >= DEAD_ZONE * step] for sizes in groups]
        density += [len(sizes) / max(1, cells) for sizes, cells in zip(kept, cells_of(total), strict=True)]
        offsets = (0,) * maps
        sides = (16 * side for side in image.shape[1:])
        side = Side(*sides, 8, False, int(step * UNIT), tables.THRESHOLDS, offsets, None, image[0])
        side_bits = 8 * len(encoder._side_bytes(picture, side))
        which = np.repeat(np.arange(maps), [len(sizes) for sizes in kept])
        level_bits = encoder._level_bits(np.concatenate(kept), which, maps, step) - 12 * maps
        bits += (LEARNING * level_bits + side_bits) / total
    at_least = np.cumsum(histogram[::-1])[::-1]
    wanted = np.cumsum(tables.CELLS_PPM)[:-1] * at_least[0] / 1_000_000
    thresholds = tuple(int(np.abs(at_least - want).argmin()) for want in wanted)
    return [int(1e6 * each / len(images)) for each in density], int(1000 * bits / len(images)), thresholds


def sharpened(density_ppm: list[int]) -> list[int]:
    logs = np.log([density for density, _ in SHARPENING])
    factors = [np.interp(math.log(max(ppm, 1e-3) / 1e6), logs, [each for _, each in SHARPENING]) for ppm in density_ppm]
    return [int(min(max(985_000, ppm), ppm * factor)) for ppm, factor in zip(density_ppm, factors, strict=True)]


def fidelity(pixels: list[np.ndarray], sealed: bool) -> float:
    """Mean dB of codes with the one budget or step that lapped_tables holds at the moment."""
    codec, profile, found = LappedCodec(), Profile("lapped", 4000), []
    composition_of.cache_clear()
    step_of.cache_clear()
    for each in pixels:
        bucket = Bucket.of(*each.shape)
        composition = codec.composition(profile, bucket) if sealed else None
        code = codec.encode(Image.of_pixels(each, 8, Source(FileKind.PNG, b"")), profile, composition)
        found.append(psnr(each, codec.decode(code, profile, bucket), data_range=255))
    return float(np.mean(found))


def budget_tables(pixels: list[np.ndarray], deep: np.ndarray) -> str:
    images = [coefficients_of(each) for each in pixels]
    tables.THRESHOLDS = measure(images, 14.0)[2]
    budgets, steps = [], []
    for step in STEPS:
        density, bits, _ = measure(images, step)
        tables.BUDGETS = ((4000, tuple(density), bits),)
        tables.STEPS = ((4000, int(UNIT * step)),)
        quality = 100 * fidelity(pixels, sealed=True)
        quality += np.interp(quality, *zip(*QUALITY_SHIFT, strict=True))
        budgets.append((round(quality), tuple(sharpened(density)), int(LEVELS_MORE * bits)))
        steps.append((round(100 * fidelity(pixels, sealed=False)) + STEP_SHIFT, int(UNIT * step)))
    slices = [coefficients_of(each) for each in deep]
    measured = [(deep_quality(step, DEEP_SEALED_AT_40), *measure(slices, step)[:2]) for step in DEEP_STEPS]
    deep_rows = sorted((quality, tuple(density), bits) for quality, density, bits in measured)
    deep_steps = [(deep_quality(step, DEEP_ENCRYPTED_AT_40), int(UNIT * step)) for step in (1.0, *DEEP_STEPS[:-1])]
    parts = {
        "CELLS_PPM": tables.CELLS_PPM,
        "THRESHOLDS": tables.THRESHOLDS,
        "FREE_THRESHOLDS": tables.FREE_THRESHOLDS,
        "BUDGETS": tuple(sorted(budgets)),
        "STEPS": tuple(sorted(steps)),
        "DEEP_BUDGETS": tuple(deep_rows),
        "DEEP_STEPS": tuple(sorted(deep_steps)),
    }
    return "".join(f"{name} = {value!r}\n\n" for name, value in parts.items())


def length_tables(pixels: list[np.ndarray]) -> str:
    """Bits of a packed code a cell such that images that fill it come out as their sealed ones do, in the mean."""
    curves = [length_curve(each) for each in pixels]
    qualities = [quality for quality, *_ in tables.BUDGETS]
    measured = qualities[1::2]
    shares = []
    for quality in measured:
        sealed = sealed_fidelity(pixels, Profile("lapped", quality))
        low, high = 500.0, 1500.0
        for _ in range(20):
            share = (low + high) / 2
            found = np.mean([at_share(curve, Profile("lapped", quality), share) for curve in curves])
            low, high = (share, high) if found < sealed else (low, share)
        shares.append(share)
        print(f"{quality / 100:.2f} dB: sealed {sealed:.2f}, as good at {share / 10:.1f} % of the length", flush=True)
    rows = [
        (quality, round(sealed_bits(tables.BUDGETS, quality) * np.interp(quality, measured, shares) / 1000))
        for quality in qualities
    ]
    deep = [(quality, round(sealed_bits(tables.DEEP_BUDGETS, quality) * DEEP_SHARE / 1000))
            for quality, *_ in tables.DEEP_BUDGETS]  # fmt: skip
    return f"PACKED = {tuple(rows)!r}\n\nDEEP_PACKED = {tuple(deep)!r}\n"


def sealed_fidelity(pixels: list[np.ndarray], profile: Profile) -> float:
    """Mean dB of sealed codes."""
    codec, found = LappedCodec(), []
    for each in pixels:
        bucket = Bucket.of(*each.shape)
        image = Image.of_pixels(each, 8, Source(FileKind.PNG, b""))
        code = codec.encode(image, profile, codec.composition(profile, bucket))
        found.append(psnr(each, codec.decode(code, profile, bucket), data_range=255))
    return float(np.mean(found))


def length_curve(pixels: np.ndarray) -> tuple[Bucket, np.ndarray, np.ndarray]:
    """(bucket, logarithms of packed lengths, dB) of an image, the coarsest step first."""
    codec, profile, bucket = LappedCodec(), Profile("lapped", 4000), Bucket.of(*pixels.shape)
    lengths, decibels = [], []
    for step in LENGTH_STEPS[::-1]:
        step_of.cache_clear()
        tables.STEPS = ((4000, int(UNIT * step)),)
        code = codec.encode(Image.of_pixels(pixels, 8, Source(FileKind.PNG, b"")), profile, None)
        lengths.append(math.log(len(pack(code))))
        decibels.append(psnr(pixels, codec.decode(code, profile, bucket), data_range=255))
    return bucket, np.array(lengths), np.array(decibels)


def at_share(curve: tuple[Bucket, np.ndarray, np.ndarray], profile: Profile, share: float) -> float:
    """dB of an image whose packed code has so many thousandths of the length of its sealed one."""
    bucket, lengths, decibels = curve
    room = math.log(public_bytes(composition_of(profile, bucket)) * share / 1000)
    return float(np.interp(room, lengths, decibels))


def sealed_bits(rows: tuple, quality: int) -> float:
    """Bits of a sealed code in 1/1000 a cell, at a row of a table of budgets."""
    _, densities, level_bits = next(row for row in rows if row[0] == quality)
    total = 1 << 20
    maps = tuple(
        MapShape(cells, cells * ppm // 1_000_000) for cells, ppm in zip(cells_of(total), densities, strict=True)
    )
    return 8000 * public_bytes(Composition(maps, total * level_bits // 8000)) / total


def deep_quality(step: float, at_40: float) -> int:
    return round(4000 + 2000 * math.log10(at_40 / step))


def weight_tables(pixels: list[np.ndarray]) -> str:
    weights, bases = fit_weights([coefficients_of(each) for each in pixels])
    parts = {"_WEIGHTS": weights, "_BASES": bases}
    lines = []
    for name, table in parts.items():
        lines += [f"{name} = {{", *(f"    {key}: {tuple(map(int, table[key]))}," for key in sorted(table)), "}\n"]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["weights", "budgets", "lengths"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--deep", type=Path, help="stack of CT slices, .npy")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    pixels = pictures(arguments.folder, arguments.images, arguments.seed)
    if arguments.what == "weights":
        text = weight_tables(pixels)
    elif arguments.what == "lengths":
        text = length_tables(pixels)
    else:
        text = budget_tables(pixels, np.load(arguments.deep, allow_pickle=False))
    arguments.output.write_text(text)


if __name__ == "__main__":
    main()
