"""RFC 8032, section 5.1: points of edwards25519, to tell the eight whose order divides 8 from all others."""

from __future__ import annotations

P = 2**255 - 19
_D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]


def decoded(raw: bytes) -> Point | None:
    """(x, y) of 32 bytes, whatever the sign bit says; None where y is not below p or is of no point."""
    y = int.from_bytes(raw, "little") % (1 << 255)
    if len(raw) != 32 or y >= P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, P) % P
    root = pow(square, (P + 3) // 8, P)
    if root * root % P != square:
        root = root * pow(2, (P - 1) // 4, P) % P
    return (root, y) if root * root % P == square else None


def added(one: Point, other: Point) -> Point:
    """The sum of two points."""
    (x1, y1), (x2, y2) = one, other
    product = _D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P
    return x, (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P


def takes_signatures(raw: bytes) -> bool:
    """Whether it is a canonical y of a point whose order does not divide 8."""
    point = decoded(raw)
    if point is None:
        return False
    for _ in range(3):
        point = added(point, point)
    return point != (0, 1)
