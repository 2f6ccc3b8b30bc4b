"""An operation: one named read or write that can run on either side."""

from dataclasses import dataclass, field
from enum import StrEnum

from crossfade.model.comparison import Compare
from crossfade.model.plan import OperationKind


class MirrorWhen(StrEnum):
    """When the caller of a write is answered."""

    AFTER_ANSWER = "after_answer"
    """As soon as the authority has answered; the mirror follows."""
    BEFORE_ANSWER = "before_answer"
    """When the mirror has followed too (or could not)."""


class KeyPlace(StrEnum):
    """Where a request carries its key."""

    PATH = "path"
    QUERY = "query"
    ARGUMENT = "argument"
    """Among the arguments of a function."""


@dataclass(frozen=True, slots=True)
class KeyFrom:
    """The names that hold the key's parts, in the order of the key's columns."""

    place: KeyPlace
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JsonField:
    """A field of a JSON answer, as dotted names: `$.id`, `$.order.id`."""

    path: str

    @property
    def names(self) -> tuple[str, ...]:
        """The names on the way from the root."""
        return tuple(self.path.removeprefix("$").strip(".").split("."))


@dataclass(frozen=True, slots=True)
class Operation:
    """One named read or write."""

    name: str
    """`PUT /customers/{id}`, method and path template, or a function's; each only once."""
    kind: OperationKind
    entity: str
    method: str
    """Empty for a function."""
    template: str
    """Empty for a function."""
    key: KeyFrom | None = None
    """None: a read without a key, or a create whose id the authority makes."""
    created: JsonField | None = None
    """Where the answer to a create has the id that the authority made."""
    replay: bool = False
    """Whether the mirror is asked to run the operation too, observed only."""
    mirror_when: MirrorWhen = MirrorWhen.AFTER_ANSWER
    compare: Compare = field(default_factory=Compare)

    @property
    def is_route(self) -> bool:
        """Whether requests come over HTTP; else it is a function of some process."""
        return bool(self.method)

    @staticmethod
    def of(text: str, entity: str, key: KeyFrom | None = None) -> "Operation":
        """A read named by method and template, `GET /customers/{id}`; refine it with `replace`."""
        method, _, template = text.partition(" ")
        return Operation(text, OperationKind.READ, entity, method, template, key)
