"""Records as MongoDB documents and back: BSON tells more types apart than JSON; pure.

Decimals of 34 digits, bytes and UUIDs are kept as what they are, and so are aware moments of whole
milliseconds (a read gives them in UTC). Other moments, dates and times are text, unless they are
refused: a field that `types=` declares `datetime` takes nothing that BSON would change.
"""

from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from uuid import UUID

from bson import Decimal128, Int64, decode, encode
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError

from crossfade.errors import StoreError
from crossfade.store.document_form import Document, DocumentForm, number_of, text_of
from crossfade.store.sql_dialect import CannotHoldError

CODEC: "CodecOptions[Document]" = CodecOptions(
    tz_aware=True,
    tzinfo=UTC,
    uuid_representation=UuidRepresentation.STANDARD,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
"""How documents come from the driver."""

_MILLISECOND = 1000


class BsonForm(DocumentForm):
    """`DocumentForm` for BSON."""

    def stored_scalar(self, path: str, type_: type | None, value: object) -> object:
        """See `DocumentForm.stored_scalar`."""
        if isinstance(value, bool):
            return value
        if isinstance(value, int | float) and type_ is not Decimal:
            number = number_of(path, value)
            return Int64(number) if isinstance(number, int) else number
        if isinstance(value, int | float | Decimal):
            return _decimal(path, value)
        if isinstance(value, str) and type_ is None:
            return text_of(path, value)
        if isinstance(value, bytes | UUID) and type_ in (None, type(value)):
            return value
        if isinstance(value, datetime | date | time) and type_ in (None, type(value)):
            return _moment(path, type_, value)
        raise CannotHoldError(f"field {path!r}: a {type(value).__name__} has no place there")

    def loaded_scalar(self, path: str, type_: type | None, value: object) -> object:
        """See `DocumentForm.loaded_scalar`."""
        if isinstance(value, Decimal128):
            return value.to_decimal()
        if isinstance(value, Int64):
            return int(value)
        if type_ in (date, time, datetime) and isinstance(value, str):
            try:
                return type_.fromisoformat(value)
            except ValueError as error:
                raise StoreError(
                    f"field {path!r} of a document is no {type_.__name__}."
                ) from error
        if type_ is Decimal and isinstance(value, int):
            return Decimal(value)
        return value

    def through_store(self, document: Document) -> Document:
        """See `DocumentForm.through_store`."""
        try:
            return decode(encode(document, codec_options=CODEC), codec_options=CODEC)
        except (BSONError, OverflowError, ValueError) as error:
            raise CannotHoldError("the record has no form in BSON") from error


def _decimal(path: str, value: float | Decimal) -> Decimal128:
    try:
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        stored = Decimal128(number)
    except (InvalidOperation, ValueError) as error:
        raise CannotHoldError(f"field {path!r}: a decimal has more than 34 digits") from error
    if not number.is_finite() or stored.to_decimal() != number:
        raise CannotHoldError(f"field {path!r}: BSON would change a decimal")
    return stored


def _moment(path: str, type_: type | None, value: date | time) -> object:
    if isinstance(value, datetime):
        exact = value.tzinfo is UTC and value.microsecond % _MILLISECOND == 0
        if exact and type_ is datetime:
            return value
        if type_ is datetime:
            raise CannotHoldError(
                f"field {path!r}: BSON keeps moments in UTC, of whole milliseconds"
            )
    return value.isoformat()
