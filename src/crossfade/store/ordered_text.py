"""Keys as bytes that sort as the keys do: numbers by value, text by code point, part by part."""

from crossfade.model.key import Key, KeyPart

_SHIFT = 2**63
_END, _NUL = b"\x00", b"\x00\xff"
AFTER = b"\xff"
"""Appended to the bytes of a key it sorts behind all that begin with them."""


def ordered_bytes(key: Key) -> bytes:
    """The bytes of a key; no key's are the beginning of another's of the same types."""
    return b"".join(_part(part) for part in key)


def key_of_bytes(data: bytes, types: tuple[type, ...]) -> Key:
    """The key whose bytes these are, or whose bytes these begin with."""
    parts: list[KeyPart] = []
    for type_ in types:
        if type_ is int:
            parts.append(int(data[:16], 16) - _SHIFT)
            data = data[16:]
            continue
        end = data.index(_END)
        while data[end : end + 2] == _NUL:
            end = data.index(_END, end + 2)
        parts.append(data[:end].replace(_NUL, _END).decode())
        data = data[end + 1 :]
    return tuple(parts)


def _part(part: KeyPart) -> bytes:
    if isinstance(part, int):
        return b"%016x" % (part + _SHIFT)
    return part.encode().replace(_END, _NUL) + _END
