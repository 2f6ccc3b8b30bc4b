"""What may be shown of a value that differs: its type, length and a short hash, unless allowed.

Two nets: values are hidden unless their path is on the allow-list of the operation, and what
looks like a secret (by the name of a member on its way, or by its own form) is hidden even then.
"""

import hashlib
import re
from collections.abc import Iterable
from decimal import Decimal
from itertools import islice
from typing import TypeGuard

SHOWN_CHARACTERS_MAX = 120
"""Characters of one value that are shown; a sample must stay small."""
NAME_CHARACTERS_MAX = 64
"""Characters of one member's name that are shown."""
PATH_CHARACTERS_MAX = 240
"""Characters of one path that are shown."""
HASH_DIGITS = 4
"""Hexadecimal digits of a hash: tells most values apart, and is too short to find a value by."""
EXAMINED_CHARACTERS_MAX = 512
"""Characters of a text that are searched for secrets; more than can be shown of it."""
NUMBER_BITS_MAX = 4096
"""Bits of a whole number that is written out; Python refuses to write very long ones."""

SECRET = "secret, not shown"  # noqa: S105 - the word itself
REDACTED_NAME = "[redacted]"

_SECRET_WORDS = (
    "apikey", "authorization", "cookie", "credential", "passphrase", "passwd", "password",
    "privatekey", "secret", "token",
)  # fmt: skip
_SECRET_NAMES = {"auth", "bearer", "cvc", "cvv", "iban", "jwt", "otp", "pan", "pin", "pwd", "ssn"}

_SECRET_FORMS = re.compile(
    r"""[^\s@<>"',;:]+@[^\s@<>"',;:]+\.[^\s@<>"',;:]+   # an e-mail address
    | \beyJ[\w-]{5,}\.[\w-]{2,}\.                       # a JSON web token
    | \b(?:bearer|basic)\s+[\w+/=.~-]{8,}               # the value of an Authorization header
    | -----BEGIN                                        # a key or a certificate
    """,
    re.VERBOSE | re.IGNORECASE,
)
_CARD_NUMBER = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d.])")
_PLAIN_NAME = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)
_ITEM = re.compile(
    r"\[\d+\]|\['(?=[^']*\d)[0-9a-fA-F-]+'\]|\.(?=[^.\[]*\d)[0-9a-f-]{16,}(?=[.\[]|$)"
)

_ZEROS_WRITTEN_MAX = 20

_TYPE_NAMES: dict[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    Decimal: "number",
    str: "text",
    bytes: "bytes",
    dict: "object",
    list: "array",
}


def type_name(value: object) -> str:
    """The type of a value in JSON's words where JSON has one."""
    return _TYPE_NAMES.get(type(value)) or type(value).__name__


def is_secret_name(name: str) -> bool:
    """Whether a member of this name holds something that is never shown."""
    letters = re.sub(r"[^a-z]", "", name[:EXAMINED_CHARACTERS_MAX].lower())
    return letters in _SECRET_NAMES or any(word in letters for word in _SECRET_WORDS)


def looks_secret(text: str) -> bool:
    """Whether a text has the form of an e-mail address, a token, a key or a card number."""
    text = text[:EXAMINED_CHARACTERS_MAX]
    if _SECRET_FORMS.search(text) is not None:
        return True
    return any(_is_card_number(match.group()) for match in _CARD_NUMBER.finditer(text))


def describe(value: object, parts: Iterable[str | int], *, shown: bool) -> str:
    """A value as a sample may hold it; bounded, printable, one line.

    Args:
        value: any JSON value, or the value of a column.
        parts: the steps from the root to the value.
        shown: whether the path is on the allow-list.

    """
    if any(isinstance(part, str) and is_secret_name(part) for part in parts):
        return SECRET
    if value is None or isinstance(value, bool):
        # There are three such values: hiding them would hide nothing.
        return {None: "null", True: "true", False: "false"}[value]
    if _is_never_written(value):
        return f"{type_name(value)}, {_size_of(value)}"
    text = value if isinstance(value, str) else _number_text(value)
    if shown:
        return SECRET if looks_secret(text) else _shown(value, text)
    size = f"{_size_of(value)}, " if isinstance(value, str) else ""
    return f"{type_name(value)}, {size}#{short_hash(text)}"


def _is_never_written(
    value: object,
) -> TypeGuard[dict[str, object] | list[object] | bytes | int]:
    """Whether only the size of the value is ever told."""
    if isinstance(value, dict | list | bytes):
        return True
    return isinstance(value, int) and value.bit_length() > NUMBER_BITS_MAX


def _size_of(value: str | bytes | dict[str, object] | list[object] | int) -> str:
    match value:
        case str():
            return f"{len(value)} characters"
        case bytes():
            return f"{len(value)} long, #{short_hash(value)}"
        case dict():
            return f"{len(value)} members"
        case list():
            return f"{len(value)} items"
    return f"{value.bit_length()} bits"


def short_hash(value: str | bytes) -> str:
    """Few digits that are the same for the same value, in every process."""
    data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=8).hexdigest()[:HASH_DIGITS]


def path_text(parts: Iterable[str | int]) -> str:
    """The path as text; names that look like data of a person are not in it."""
    first = islice(parts, PATH_CHARACTERS_MAX)
    texts = [f"[{part}]" if isinstance(part, int) else _name_text(part) for part in first]
    text = "".join(["$", *texts])
    return text if len(text) <= PATH_CHARACTERS_MAX else text[: PATH_CHARACTERS_MAX - 1] + "…"


def normalised_path(path: str) -> str:
    """The path with indexes, and names that look like identifiers, as `[*]`."""
    return _ITEM.sub("[*]", path)


def printable(text: str, characters_max: int) -> str:
    """The text on one line, without control characters, cut to a length."""
    cut = text[:characters_max]
    clean = "".join(one if one.isprintable() else _escaped(one) for one in cut)
    return clean if len(text) <= characters_max else clean + "…"


def _name_text(name: str) -> str:
    if looks_secret(name):
        return f".{REDACTED_NAME}"
    if _PLAIN_NAME.fullmatch(name) and len(name) <= NAME_CHARACTERS_MAX:
        return f".{name}"
    return f"['{printable(name, NAME_CHARACTERS_MAX)}']"


def _shown(value: object, text: str) -> str:
    clean = printable(text, SHOWN_CHARACTERS_MAX)
    return f'"{clean}"' if isinstance(value, str) else clean


def _number_text(value: object) -> str:
    """One text for each number: 1, 1.0 and 1.00 are the same number."""
    if not isinstance(value, float | Decimal):
        return str(value)
    number = value if isinstance(value, Decimal) else Decimal(repr(value))
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        return str(number)
    significant = "".join(map(str, digits)).rstrip("0")
    if not significant:
        return "0"
    exponent += len(digits) - len(significant)
    if 0 < exponent <= _ZEROS_WRITTEN_MAX:
        significant, exponent = significant + "0" * exponent, 0
    return str(Decimal((sign, tuple(map(int, significant)), exponent)))


def _is_card_number(text: str) -> bool:
    """Whether the digits pass the check of payment cards (Luhn)."""
    digits = [int(one) for one in text if one.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]  # noqa: PLR2004 - Luhn
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
