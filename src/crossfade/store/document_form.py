"""Records as JSON documents and back: exactly, or refused; pure.

JSON itself tells null, truth values, whole numbers, other numbers and text apart, and may nest.
Beyond that a value is kept exactly only where the description says what a field holds (`types=`):
decimals as numbers of any precision, bytes as base64 text, moments in ISO 8601, UUIDs as text. A
decimal or bytes in any other field are refused; moments and UUIDs become text there.
"""

import math
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from crossfade.codec import CodecError, decode_exact, encode
from crossfade.errors import StoreError
from crossfade.model.key import Key
from crossfade.model.key_pattern import fits
from crossfade.model.store_documents import Documents, Items
from crossfade.store.base import Record
from crossfade.store.sql_dialect import CannotHoldError
from crossfade.store.table_shape import ColumnShape, TableShape

Document = dict[str, Any]
"""A JSON object as `decode_exact` gives it."""

_DEPTH_MAX = 50
_DIGITS_MAX = 1000
"""Of a decimal; more is no amount of anything, and other readers could not take it."""
_WHOLE_LIMIT = 2**63
_AS_TEXT: dict[type, Any] = {
    datetime: datetime.isoformat,
    date: date.isoformat,
    time: time.isoformat,
    UUID: str,
}
_FROM_TEXT: dict[type, Any] = {
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    time: time.fromisoformat,
    UUID: UUID,
}


class DocumentForm:
    """How the records of one entity are kept as documents."""

    def __init__(self, description: Documents) -> None:
        self._types = dict(description.types)
        self._items = dict(description.items)
        self._fields = None if description.fields is None else frozenset(description.fields)
        self._names = description.key_names
        self._key_types = description.key_types
        self._shown = description.fields or ()
        self._defaults = self._stored_fields(dict(description.defaults))

    def bound(self, key: Key, record: Record) -> Document:
        """The fields that the record names, with its key, as the document will have them.

        Raises:
            CannotHoldError: the document would change a value, or has no such field.

        """
        if not fits(key, self._key_types):
            raise CannotHoldError("the key is not of the documents' key")
        identity = dict(zip(self._names, key, strict=True))
        for name, part in identity.items():
            given = record.get(name, part)
            if given != part or type(given) is not type(part):
                raise CannotHoldError(f"field {name!r} differs from the record's key")
        plain = {name: value for name, value in record.items() if name not in self._items}
        document = self._stored_fields(plain | identity)
        for name, items in self._items.items():
            if name in record:
                document[name] = self._stored_items(name, items, record[name])
        return document

    def merged(self, found: Document | None, wanted: Document) -> Document:
        """The document after a put: what the record does not name stays as it is."""
        before = dict(self._defaults) if found is None else found
        result = {**before, **wanted}
        for name, items in self._items.items():
            if name in wanted and isinstance(before.get(name), list):
                result[name] = _merged_items(items, before[name], wanted[name])
        return result

    def record(self, key: Key, document: Document) -> Record:
        """The record of a document.

        Raises:
            StoreError: a field does not hold what the description says.

        """
        identity = dict(zip(self._names, key, strict=True))
        names = document if self._fields is None else self._shown
        record = {name: self._loaded(name, document.get(name)) for name in names}
        for name, items in self._items.items():
            record[name] = self._loaded_items(name, items, document.get(name))
        return {**identity, **record, **identity}

    def as_read(self, key: Key, record: Record) -> Record:
        """The fields that the record names, and its key, as a read gives them after a put.

        Raises:
            CannotHoldError: a put would be refused for the same reason.

        """
        document = self.through_store(self.bound(key, record))
        read = self.record(key, document)
        return {name: value for name, value in read.items() if name in document}

    def shape(self, name: str) -> TableShape:
        """The documents as `doctor` shows them."""
        return TableShape(
            table=name,
            columns=tuple(map(_column, dict.fromkeys((*self._names, *self._shown)))),
            key=self._names,
            ordered=True,
            children={
                name: TableShape(
                    table=name,
                    columns=tuple(map(_column, items.fields or items.key_fields)),
                    key=items.key_fields,
                    ordered=True,
                    open=items.fields is None,
                )
                for name, items in self._items.items()
            },
            open=self._fields is None,
        )

    def stored_scalar(self, path: str, type_: type | None, value: object) -> object:
        """A value that is no list, no mapping and not None, as the document has it.

        Raises:
            CannotHoldError: the document would change it.

        """
        return _stored_untyped(path, value) if type_ is None else _stored_as(path, type_, value)

    def loaded_scalar(self, path: str, type_: type | None, value: object) -> object:
        """A value of a document as the record has it.

        Raises:
            StoreError: the field does not hold what the description says.

        """
        return _loaded_untyped(value) if type_ is None else _loaded_as(path, type_, value)

    def through_store(self, document: Document) -> Document:
        """The document as it is read back."""
        return parsed(encoded(document))

    def _stored_fields(self, record: Record) -> Document:
        for name in record:
            _check_name(name)
            if self._fields is not None and name not in self._fields and name not in self._names:
                raise CannotHoldError(f"the documents have no field {name!r}")
        return {name: self._stored(name, value, 0) for name, value in record.items()}

    def _stored_items(self, name: str, items: Items, values: object) -> list[Document]:
        if not isinstance(values, list | tuple):
            raise CannotHoldError(f"{name!r} must be a list of records")
        stored = [self._stored_item(name, items, value) for value in values]
        keys = [_item_key(items, item) for item in stored]
        if len(set(keys)) != len(keys):
            raise CannotHoldError(f"two of {name!r} have the same key")
        return [item for _, item in sorted(zip(keys, stored, strict=True), key=_first)]

    def _stored_item(self, name: str, items: Items, value: object) -> Document:
        if not isinstance(value, Mapping):
            raise CannotHoldError(f"{name!r} must be a list of records")
        if any(value.get(part) is None for part in items.key_fields):
            raise CannotHoldError(f"one of {name!r} has no key")
        known = None if items.fields is None else {*items.fields, *items.key_fields}
        for own in value:
            _check_name(own)
            if known is not None and own not in known:
                raise CannotHoldError(f"the items of {name!r} have no field {own!r}")
        return {own: self._stored(f"{name}.{own}", part, 1) for own, part in value.items()}

    def _stored(self, path: str, value: object, depth: int) -> object:
        if depth > _DEPTH_MAX:
            raise CannotHoldError(f"field {path!r} is nested too deep")
        if isinstance(value, list | tuple):
            return [self._stored(path, one, depth + 1) for one in value]
        if isinstance(value, Mapping):
            for name in value:
                _check_name(name)
            return {
                name: self._stored(f"{path}.{name}", one, depth + 1) for name, one in value.items()
            }
        if value is None:
            return None
        return self.stored_scalar(path, self._types.get(path), value)

    def _loaded_items(self, name: str, items: Items, values: object) -> list[Record]:
        if values is None:
            return []
        if not isinstance(values, list) or not all(isinstance(one, dict) for one in values):
            raise StoreError(f"field {name!r} of a document is no list of records.")
        records = [self._loaded_item(name, items, one) for one in values]
        return sorted(records, key=lambda record: _item_key(items, record))

    def _loaded_item(self, name: str, items: Items, value: Document) -> Record:
        names = value if items.fields is None else (*items.key_fields, *items.fields)
        return {own: self._loaded(f"{name}.{own}", value.get(own)) for own in names}

    def _loaded(self, path: str, value: object) -> object:
        if isinstance(value, list):
            return [self._loaded(path, one) for one in value]
        if isinstance(value, dict):
            return {name: self._loaded(f"{path}.{name}", one) for name, one in value.items()}
        if value is None:
            return None
        return self.loaded_scalar(path, self._types.get(path), value)


def encoded(document: Document) -> bytes:
    """A document as JSON; the same document gives the same bytes.

    Raises:
        CannotHoldError: it has no JSON form.

    """
    try:
        return encode(document)
    except CodecError as error:
        raise CannotHoldError("the record has no form in JSON") from error


def parsed(data: bytes) -> Document:
    """A document from JSON, numbers exact.

    Raises:
        StoreError: it is no JSON object.

    """
    try:
        document = decode_exact(data)
    except (CodecError, ArithmeticError, ValueError) as error:
        raise StoreError("a document is no JSON. Mend it, or leave it out.") from error
    if not isinstance(document, dict):
        raise StoreError("a document is no JSON object. Mend it, or leave it out.")
    return document


def _stored_untyped(path: str, value: object) -> object:
    if isinstance(value, str):
        return text_of(path, value)
    if isinstance(value, int | float):
        return number_of(path, value)
    as_text = _AS_TEXT.get(type(value))
    if as_text is not None:
        return as_text(value)
    name = type(value).__name__
    if isinstance(value, Decimal | bytes):
        raise CannotHoldError(f"field {path!r} holds {name}: say so in types= of the documents")
    raise CannotHoldError(f"field {path!r}: a {name} has no form in JSON")


def number_of(path: str, value: float) -> float:
    """A number of 64 bits as it is stored; refuses any other."""
    if type(value) is float:
        if math.isfinite(value):
            return value
        raise CannotHoldError(f"field {path!r}: NaN and infinities have no form in JSON")
    if -_WHOLE_LIMIT <= value < _WHOLE_LIMIT:
        return value
    raise CannotHoldError(f"field {path!r}: a whole number has more than 64 bits")


def _stored_as(path: str, type_: type, value: object) -> object:
    if type_ is Decimal:
        return _decimal(path, value)
    if type(value) is not type_:
        raise CannotHoldError(f"field {path!r} holds {type_.__name__}, not {type(value).__name__}")
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return _AS_TEXT[type_](value)


def _decimal(path: str, value: object) -> Decimal:
    if isinstance(value, float):
        # Its shortest text is what it means; the binary expansion is nobody's amount.
        value = Decimal(repr(value))
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise CannotHoldError(f"field {path!r} holds Decimal, not {type(value).__name__}")
    number = Decimal(value)
    if not number.is_finite():
        raise CannotHoldError(f"field {path!r}: NaN and infinities have no form in JSON")
    if len(number.as_tuple().digits) > _DIGITS_MAX or abs(number.adjusted()) > _DIGITS_MAX:
        raise CannotHoldError(f"field {path!r}: a decimal has more than {_DIGITS_MAX} digits")
    return number


def _loaded_untyped(value: object) -> object:
    if not isinstance(value, Decimal):
        return value
    number = float(value)
    return number if Decimal(repr(number)) == value else value


def _loaded_as(path: str, type_: type, value: object) -> object:
    try:
        if type_ is Decimal and isinstance(value, int | Decimal):
            return Decimal(value)
        if type_ is bytes and isinstance(value, str):
            return b64decode(value, validate=True)
        if type_ in _FROM_TEXT and isinstance(value, str):
            return _FROM_TEXT[type_](value)
    except ValueError:
        pass
    raise StoreError(
        f"field {path!r} of a document holds no {type_.__name__}. Correct types=, or the document."
    )


def _merged_items(
    items: Items, before: Sequence[Any], wanted: Sequence[Document]
) -> list[Document]:
    there = {_item_key(items, one): one for one in before if isinstance(one, dict)}
    return [{**there.get(_item_key(items, one), {}), **one} for one in wanted]


def _item_key(items: Items, item: Mapping[str, Any]) -> tuple[tuple[int, Any], ...]:
    """Orders numbers before text before anything else, so that any two can be compared."""
    return tuple([_ranked(item.get(name)) for name in items.key_fields])


def _ranked(value: object) -> tuple[int, Any]:
    if isinstance(value, int | float | Decimal):
        return 0, value
    return (1, value) if isinstance(value, str) else (2, repr(value))


def _first(pair: tuple[Any, Document]) -> Any:  # noqa: ANN401 - a key of any types
    return pair[0]


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise CannotHoldError("a field's name is no text")
    text_of(name.encode(errors="replace").decode(), name)


def text_of(path: str, value: str) -> str:
    """Text as it is stored; refuses what is no Unicode."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise CannotHoldError(f"field {path!r}: text with a lone surrogate") from error
    # A subclass, such as a member of an enumeration, is stored as the text that it is.
    return str.__str__(value)


def _column(name: str) -> ColumnShape:
    return ColumnShape(name, type="", nullable=True, has_default=False, generated=False)
