"""Nulls: entries of level 0 that fill a map up to the number of nonzeros that its composition states.

Encoder and sealing have to agree on where they lie, because the length of the level stream depends on it.
"""

from __future__ import annotations

import numpy as np

from medveil.codecs.code import CodeMap, Composition, MapShape, SparseCode


def pad_with_nulls(code: SparseCode, composition: Composition) -> SparseCode:
    """Fill each map up to the composition's number of entries, with nulls on its highest empty cells.

    The highest cells are those where a level coder expects least: where cells are in order of priority, the nulls
    follow after all other entries whenever there is room for that.

    Raises:
        ValueError: the code has another number of maps or cells than the composition, or more nonzeros.
    """
    if len(code.maps) != len(composition.maps):
        raise ValueError(f"a code of {len(code.maps)} maps doesn't fit a composition of {len(composition.maps)}")
    maps = tuple(_pad_map(code_map, shape) for code_map, shape in zip(code.maps, composition.maps, strict=True))
    return SparseCode(maps, code.side)


def _pad_map(code_map: CodeMap, shape: MapShape) -> CodeMap:
    missing = shape.nonzeros - len(code_map.positions)
    if code_map.cells != shape.cells or missing < 0:
        raise ValueError(
            f"a map of {len(code_map.positions)} nonzeros in {code_map.cells} cells doesn't fit "
            f"{shape.nonzeros} in {shape.cells}"
        )
    if missing == 0:
        return code_map
    first = shape.cells - shape.nonzeros
    empty = np.ones(shape.nonzeros, bool)
    empty[code_map.positions[code_map.positions >= first] - first] = False
    nulls = first + np.flatnonzero(empty)[-missing:]
    positions = np.concatenate([code_map.positions, nulls])
    ranks = np.argsort(positions, kind="stable")
    levels = np.concatenate([code_map.levels, np.zeros(missing, np.int32)])
    return CodeMap(shape.cells, positions[ranks], levels[ranks])
