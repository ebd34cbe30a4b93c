"""Exact arithmetic on edwards25519: multiples of the base point, and the two coordinate maps.

Only what XEdDSA needs. Nothing here runs in constant time: the keys it handles belong to
pretended phones on loopback.

Source: RFC 7748 section 4.1 (the birational map), RFC 8032 section 5.1 (curve and encoding).
"""

from functools import lru_cache

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
_D2 = 2 * -121665 * pow(121666, -1, P) % P
_BASE_Y = 4 * pow(5, -1, P) % P

# A point in extended coordinates (X, Y, Z, T), x = X/Z, y = Y/Z, x*y = T/Z.
_Extended = tuple[int, int, int, int]
# An affine point kept for adding: (y + x, y - x, 2*d*x*y).
_Addend = tuple[int, int, int]

_NEUTRAL: _Extended = (0, 1, 1, 0)
_WINDOW_BITS = 4
_WINDOWS = 64


def _add(p: _Extended, q: _Addend) -> _Extended:
    x, y, z, t = p
    plus, minus, txy = q
    a = (y - x) * minus
    b = (y + x) * plus
    c = t * txy
    d = z + z
    e, f, g, h = (b - a) % P, (d - c) % P, (d + c) % P, (b + a) % P
    return e * f % P, g * h % P, f * g % P, e * h % P


def _double(p: _Extended) -> _Extended:
    x, y, z, _ = p
    a, b = x * x, y * y
    h = a + b
    e = (h - (x + y) ** 2) % P
    g = (a - b) % P
    f = (2 * z * z + g) % P
    h %= P
    return e * f % P, g * h % P, f * g % P, e * h % P


def _affine(p: _Extended) -> tuple[int, int]:
    x, y, z, _ = p
    inverse = pow(z, -1, P)
    return x * inverse % P, y * inverse % P


def _addend(p: _Extended) -> _Addend:
    x, y = _affine(p)
    return (y + x) % P, (y - x) % P, _D2 * x * y % P


def _base_point() -> _Extended:
    d = _D2 * pow(2, -1, P) % P
    square = (_BASE_Y**2 - 1) * pow(d * _BASE_Y**2 + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x & 1:
        x = P - x
    return x, _BASE_Y, 1, x * _BASE_Y % P


@lru_cache(maxsize=1)
def _table() -> tuple[tuple[_Addend, ...], ...]:
    """Return the multiples 1..15 of 16^i * base, for every nibble i of a scalar."""
    rows = []
    start = _base_point()
    for _ in range(_WINDOWS):
        step = _addend(start)
        row, point = [step], start
        for _ in range(2, 2**_WINDOW_BITS):
            point = _add(point, step)
            row.append(_addend(point))
        rows.append(tuple(row))
        for _ in range(_WINDOW_BITS):
            start = _double(start)
    return tuple(rows)


def multiply_base(scalar: int) -> tuple[int, int]:
    """Return the affine coordinates of scalar times the base point (0 <= scalar < 2**256)."""
    point = _NEUTRAL
    for row in _table():
        nibble = scalar & 15
        if nibble:
            point = _add(point, row[nibble - 1])
        scalar >>= _WINDOW_BITS
    return _affine(point)


def encode(x: int, y: int) -> bytes:
    """Return the 32 byte encoding of a point: y, with the parity of x in the top bit."""
    return (y | (x & 1) << 255).to_bytes(32, "little")


def edwards_y(montgomery_u: int) -> int:
    """Return y of the Edwards points that belong to a Montgomery u (0 for the exception -1)."""
    return (montgomery_u - 1) * pow(montgomery_u + 1, P - 2, P) % P
