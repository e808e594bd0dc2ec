"""An invented chest in front view: what X-rays meet on their way, as planes of attenuation.

Nothing here is taken from a patient. The shapes are curves with random parameters; image right is the patient's left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medveil.datasets.painting import Canvas, Plane, Points, add_tube, blur, clouds, curve, ellipsoid, step


@dataclass(frozen=True)
class Build:
    """How one invented person is built. Lengths in units of half the picture's width.

    Attributes:
        width: half width of the rib cage.
        apex, base: v of the lung apices and of the right diaphragm dome.
        heart: half width of the heart shadow.
        stout: 0 to 1, how much soft tissue there is.
        breasts: 0 to 1.
        slope: how steeply ribs run down.
        ribs: number of rib pairs in view.
        bone: how dense the bones are.
    """

    width: float
    apex: float
    base: float
    heart: float
    stout: float
    breasts: float
    slope: float
    ribs: int
    bone: float

    @classmethod
    def draw(cls, rng: np.random.Generator, *, female: bool) -> Build:
        return cls(
            width=rng.uniform(0.78, 0.86), apex=rng.uniform(-0.86, -0.78), base=rng.uniform(0.42, 0.56),
            heart=rng.uniform(0.36, 0.46), stout=rng.uniform(0.0, 1.0),
            breasts=rng.uniform(0.3, 1.0) if female else 0.0, slope=rng.uniform(0.85, 1.15),
            ribs=int(rng.integers(9, 11)), bone=rng.uniform(0.8, 1.15)
        )  # fmt: skip


@dataclass(frozen=True)
class Anatomy:
    """One invented person, projected.

    Attributes:
        canvas: the grid of all planes.
        attenuation: (height, width) of the whole chest.
        right, left: lung fields as 0..1 planes (right lung stands on the image's left).
    """

    canvas: Canvas
    attenuation: Plane
    right: Plane
    left: Plane


def build_anatomy(build: Build, canvas: Canvas, rng: np.random.Generator) -> Anatomy:
    """Project an invented person."""
    right, left = (lung_field(build, canvas, side) for side in (-1, 1))
    soft = _body(build, canvas, rng)
    air = sum(_lung_depth(build, canvas, side) for side in (-1, 1))
    vessels = canvas.zeros()
    for side in (-1, 1):
        _add_vessels(vessels, canvas, side, rng)
    lungs = np.maximum(right, left)
    total = soft - np.float32(0.52) * air + vessels * blur(lungs, 2.0)
    total += _heart(build, canvas, rng) + _mediastinum(build, canvas) + _bones(build, canvas, rng)
    total += _belly(build, canvas, rng) * np.clip(4 * soft, 0, 1)
    total += (0.014 + 0.012 * lungs) * clouds(canvas.shape, rng, 0.05 * canvas.unit, 4)
    return Anatomy(canvas, blur(total.astype(np.float32), 0.7), right, left)


def _wall(build: Build, v: Plane) -> Plane:
    """u of the inner chest wall at height v, on the positive side."""
    t = np.clip((v - build.apex) / (build.base + 0.28 - build.apex), 0, 1)
    return np.asarray(build.width * np.sqrt(np.clip(1 - (1 - t) ** 4.2, 0, None)) * (0.90 + 0.11 * t), dtype=np.float32)


def _dome(build: Build, canvas: Canvas, side: int) -> Plane:
    """v of the diaphragm: a dome that falls off steeply to the costophrenic angle; the left one lies lower."""
    across = np.clip((side * canvas.u - 0.36) / (build.width - 0.34), -1.2, 1.2)
    low = 0.055 if side > 0 else 0.0
    return np.asarray(build.base + low + 0.10 * across**2 + 0.20 * np.clip(across, 0, None) ** 4, dtype=np.float32)


def lung_field(build: Build, canvas: Canvas, side: int) -> Plane:
    """Lung field as it shows: between mediastinum or heart, chest wall and diaphragm. `side` is -1 or 1."""
    s = np.float32(side) * canvas.u
    depth = np.clip((canvas.v - build.apex) / (build.base - build.apex), 0, 1)
    heart = build.heart * (1.0 if side > 0 else 0.52)
    medial = 0.13 + 0.05 * np.cos(3 * depth) + (heart - 0.13) * step(np.asarray(depth - 0.72, dtype=np.float32), 0.09)
    inside = step(np.asarray(s - medial, dtype=np.float32), 0.008) * step(_wall(build, canvas.v) - s, 0.006)
    return inside * step(_dome(build, canvas, side) - canvas.v, 0.006) * step(canvas.v - np.float32(build.apex), 0.006)


def _lung_depth(build: Build, canvas: Canvas, side: int) -> Plane:
    """Air on the way: the lung behind heart and diaphragm dome counts too, a little."""
    s = np.float32(side) * canvas.u
    lateral = np.clip(_wall(build, canvas.v) - s, 0, None)
    medial = np.clip(s - 0.07, 0, None)
    top = np.clip(canvas.v - build.apex, 0, None)
    depth = (1 - np.exp(-lateral / 0.085)) * (1 - np.exp(-medial / 0.07)) * (1 - np.exp(-top / 0.13))
    above = step(_dome(build, canvas, side) - canvas.v, 0.007)
    behind = 0.16 * step(np.float32(build.base + 0.34) - canvas.v, 0.05) * (1 - above)
    return np.asarray(depth * (above + behind), dtype=np.float32)


def _body(build: Build, canvas: Canvas, rng: np.random.Generator) -> Plane:
    """Soft tissue of trunk, neck, shoulders and arms."""
    v, s = canvas.v, np.abs(canvas.u)
    trunk = build.width + 0.10 + 0.10 * build.stout
    neck = 0.27 + 0.03 * build.stout
    slope = np.asarray(v - (build.apex - 0.19 - 0.06 * build.stout) - 0.20 * s, dtype=np.float32)
    shoulder = step(slope, 0.05)
    half = neck + (trunk + 0.45 - neck) * shoulder - 0.36 * step(v + np.float32(0.12), 0.14)
    across = np.clip(1 - (s / half) ** 2, 0, None)
    thick = (0.80 + 0.10 * build.stout) * np.sqrt(across)
    flank = 0.10 * np.exp(-(((s - build.width - 0.06) / 0.07) ** 2)) * step(v + np.float32(0.6), 0.2)
    body = thick * (0.78 + 0.14 * step(v - np.float32(0.3), 0.35)) + flank
    for side in (-1, 1):
        centre = (side * 0.45 + rng.normal(0, 0.01), 0.34 + rng.normal(0, 0.02))
        body = body + 0.16 * build.breasts * ellipsoid(canvas, centre, (0.34, 0.36))
    return blur(body.astype(np.float32), 0.008 * canvas.unit)


def _heart(build: Build, canvas: Canvas, rng: np.random.Generator) -> Plane:
    """Heart, aortic knob, pulmonary trunk and the roots of the lungs."""
    base = build.base
    body = ellipsoid(canvas, (0.10, base - 0.12), (build.heart + 0.06, 0.29), 0.42)
    right = ellipsoid(canvas, (-0.06, base - 0.16), (0.20, 0.27), 0.0)
    heart = 0.50 * np.maximum(body, 0.85 * right)
    heart = heart + 0.16 * ellipsoid(canvas, (0.12, build.apex + 0.46), (0.10, 0.11))
    heart = heart + 0.13 * ellipsoid(canvas, (0.13, build.apex + 0.66), (0.12, 0.10), 0.5)
    for side in (-1, 1):
        place = (side * (0.21 + rng.normal(0, 0.008)), build.apex + 0.70 + rng.normal(0, 0.01))
        heart = heart + 0.13 * ellipsoid(canvas, place, (0.085, 0.13), -0.35 * side)
    return blur(heart.astype(np.float32), 0.010 * canvas.unit)


def _mediastinum(build: Build, canvas: Canvas) -> Plane:
    """The dense middle, with the dark column of the windpipe and its two branches."""
    middle = 0.20 * np.exp(-((canvas.u / 0.17) ** 4)) * step(canvas.v - np.float32(build.apex - 0.1), 0.1)
    carina = build.apex + 0.52
    air = canvas.zeros()
    trachea = curve(np.array([[0.0, -1.3], [0.005, build.apex], [-0.015, carina]]), 60)
    add_tube(air, canvas, trachea, np.full(60, 0.052), 0.16)
    for side, drop in ((-1, 0.20), (1, 0.15)):
        branch = curve(
            np.array([[-0.015, carina - 0.01], [side * 0.10, carina + drop * 0.6], [side * 0.20, carina + drop]]), 30
        )
        add_tube(air, canvas, branch, np.linspace(0.034, 0.022, 30), 0.10)
    return np.asarray(middle - blur(air, 0.006 * canvas.unit), dtype=np.float32)


def _belly(build: Build, canvas: Canvas, rng: np.random.Generator) -> Plane:
    """Liver under the right dome, stomach bubble and some bowel gas under the left one."""
    below = 1 - step(_dome(build, canvas, -1) - canvas.v, 0.02)
    liver = (0.30 + 0.08 * step(-canvas.u, 0.15)) * below
    where = (0.38 + rng.normal(0, 0.03), build.base + 0.17 + rng.normal(0, 0.01))
    bubble = 0.20 * ellipsoid(canvas, where, (rng.uniform(0.11, 0.18), rng.uniform(0.05, 0.08)), rng.normal(0, 0.15))
    return np.asarray(liver - blur(bubble, 0.008 * canvas.unit), dtype=np.float32)


def _bones(build: Build, canvas: Canvas, rng: np.random.Generator) -> Plane:
    """Ribs, clavicles, shoulder blades, upper arms and spine."""
    bones = canvas.zeros()
    _add_spine(bones, build, canvas, rng)
    pitch = (build.base + 0.30 - build.apex) / (build.ribs + 0.6)
    for side in (-1, 1):
        for index in range(build.ribs):
            _add_rib(bones, build, canvas, side, build.apex + pitch * (index + 0.1), index, rng)
        _add_shoulder(bones, build, canvas, side, rng)
    texture = 1 + 0.05 * clouds(canvas.shape, rng, 0.012 * canvas.unit, 2)
    return np.asarray(build.bone * blur(bones, 0.5) * texture, dtype=np.float32)


def _add_rib(
    bones: Plane, build: Build, canvas: Canvas, side: int, start: float, index: int, rng: np.random.Generator
) -> None:
    """One rib: the back part from the spine out and down, the front part back in and further down, fainter."""
    jitter = rng.normal(0, 0.006, 4)
    drop = build.slope * (0.10 + 0.055 * index)
    reach = float(_wall(build, np.full((1, 1), start + drop * 0.9 + 0.02, dtype=np.float32))[0, 0]) + 0.018
    turn = start + drop
    back = curve(
        np.array(
            [
                [side * 0.10, start + 0.03],
                [side * (0.10 + 0.30 * (reach - 0.1)), start - 0.015 + jitter[0]],
                [side * (0.10 + 0.70 * (reach - 0.1)), start + 0.30 * drop + jitter[1]],
                [side * (reach - 0.035), start + 0.75 * drop],
                [side * reach, turn + 0.05],
            ]
        ),
        90,
    )
    thick = 0.026 + 0.0012 * min(index, 6)
    add_tube(bones, canvas, back, np.linspace(thick, thick * 0.92, 90), 0.19, wall=0.28)
    if index > 6:
        return
    front = curve(
        np.array(
            [
                [side * reach, turn + 0.05],
                [side * (reach - 0.05), turn + 0.13],
                [side * (0.62 * reach + 0.05), turn + 0.26 + 0.02 * index + jitter[2]],
                [side * (0.34 * reach + 0.08), turn + 0.33 + 0.03 * index + jitter[3]],
            ]
        ),
        70,
    )
    fade = np.linspace(thick * 0.95, thick * 1.1, 70)
    add_tube(bones, canvas, front, fade, 0.095, wall=0.35)


def _add_shoulder(bones: Plane, build: Build, canvas: Canvas, side: int, rng: np.random.Generator) -> None:
    lift = rng.normal(0, 0.012)
    collar = curve(
        np.array(
            [
                [side * 0.070, build.apex + 0.22 + lift],
                [side * 0.22, build.apex + 0.205 + lift],
                [side * 0.42, build.apex + 0.115 + lift],
                [side * 0.62, build.apex + 0.025 + lift],
                [side * 0.82, build.apex + 0.035 + lift],
            ]
        ),
        90,
    )
    add_tube(bones, canvas, collar, np.linspace(0.044, 0.032, 90), 0.21, wall=0.32)
    blade: Points = np.array(
        [
            [side * 0.90, build.apex + 0.10],
            [side * 0.83, build.apex + 0.42],
            [side * (build.width - 0.02), build.apex + 0.78],
        ]
    )
    add_tube(bones, canvas, curve(blade, 60), np.linspace(0.035, 0.015, 60), 0.10, wall=0.4)
    plate = ellipsoid(canvas, (side * 0.93, build.apex + 0.40), (0.17, 0.40), 0.22 * side)
    bones += 0.06 * plate
    head = ellipsoid(canvas, (side * 1.02, build.apex + 0.13), (0.13, 0.14))
    bones += 0.20 * head


def _add_spine(bones: Plane, build: Build, canvas: Canvas, rng: np.random.Generator) -> None:
    """Vertebral bodies with brighter end plates, spinous processes, and the discs between."""
    tilt = rng.normal(0, 0.012)
    v, height = -1.25, 0.115
    while v < 1.3:
        centre = tilt * np.sin(2.2 * v)
        s, t = np.abs(canvas.u - np.float32(centre)), np.abs(canvas.v - np.float32(v))
        half = 0.082 + 0.012 * (v + 1)
        block = step(np.float32(half) - s, 0.010) * step(np.float32(0.42 * height) - t, 0.006)
        rim = np.exp(-(((t - 0.40 * height) / 0.010) ** 2)) * step(np.float32(half) - s, 0.010)
        process = ellipsoid(canvas, (centre, v + 0.35 * height), (0.016, 0.036))
        pedicles = sum(
            ellipsoid(canvas, (centre + side * 0.055, v - 0.15 * height), (0.018, 0.024)) for side in (-1, 1)
        )
        bones += 0.085 * block + 0.03 * rim + 0.06 * process + 0.05 * pedicles
        v, height = v + height, height * 1.018


def _add_vessels(plane: Plane, canvas: Canvas, side: int, rng: np.random.Generator) -> None:
    """A tree of vessels that fans out from the root of the lung and thins."""
    root = np.array([side * 0.17, -0.10])
    for angle in np.linspace(-1.2, 1.4, 13):
        heading = angle + rng.normal(0, 0.08)
        _grow(
            plane, canvas, root + np.array([0.02 * rng.normal(), 0.11 * np.sin(heading) + 0.03 * rng.normal()]),
            heading, side, rng.uniform(0.015, 0.026), 0, rng
        )  # fmt: skip


def _grow(
    plane: Plane, canvas: Canvas, start: Points, heading: float, side: int, radius: float, depth: int,
    rng: np.random.Generator
) -> None:  # fmt: skip
    if depth > 3 or radius < 0.004:
        return
    length = rng.uniform(0.13, 0.21) * (0.95**depth)
    bend = rng.normal(0, 0.35)
    way = heading + np.linspace(0, bend, 12)
    path = start + np.cumsum(np.stack([side * np.cos(way), np.sin(way)], axis=1) * length / 12, axis=0)
    end = radius * 0.72
    add_tube(plane, canvas, path, np.linspace(radius, end, 12), 5.0 * radius)
    for turn in (rng.uniform(0.15, 0.5), -rng.uniform(0.15, 0.5)):
        _grow(plane, canvas, path[-1], float(way[-1]) + turn, side, end * rng.uniform(0.7, 0.95), depth + 1, rng)
