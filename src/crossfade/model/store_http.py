"""One side's entity behind an HTTP service of one's own choice, described as a pure value."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from crossfade.errors import DefinitionError
from crossfade.model.key_pattern import KeyPattern
from crossfade.model.service import seconds_of
from crossfade.model.store_description import without_secrets
from crossfade.model.store_documents import Documents

_SCHEMES = ("http://", "https://", "${")
_REFERENCE = re.compile(r"\$\{[^{}]*\}")


@dataclass(frozen=True, slots=True, repr=False)
class HttpResource(Documents):
    """Records that a service gives and takes as JSON: GET, PUT and DELETE of one address each.

    It cannot refuse a copy from the past, so an entity with such a mirror is of level L3: copies
    exclude one another within one node, and after one without an answer nobody writes the key
    before `answers_within` has passed.

    Raises:
        DefinitionError: the description contradicts itself; nothing was opened.

    """

    url: str
    """The address of one record, with the fields of the key: `https://host/customers/{id}`."""
    list: str | None = None
    """The address that lists records by ascending key behind a key, `{after}`, at most `{limit}`:
    `https://host/customers?after={after}&limit={limit}`. Parameters with an empty `{after}` are
    left out. Without it records can be put there, not copied from there."""
    listed: str = "$"
    """Where the list is in that answer: `$` is the answer itself, `$.items` a member of it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with each request; secrets by reference: `{"Authorization": "Bearer ${env:TOKEN}"}`."""
    update: Literal["PUT", "PATCH"] = "PUT"
    """How a record that exists is changed: PUT sends all of it, with the fields that the mapping
    does not name as they were read; PATCH sends the mapped fields alone (RFC 7396)."""
    ordered: bool = True
    """Whether the list is sorted as numbers, or text by code point. It is checked."""
    answers_within: str | float = "10s"
    """After that a call without an answer has certainly ended."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        Documents.__post_init__(self)
        KeyPattern(_without_references(self.url), self.key)
        if self.items and self.update == "PATCH":
            raise DefinitionError(
                "a PATCH replaces lists as a whole: use update='PUT' with items=."
            )
        for address in (self.url, self.list or self.url):
            if not address.startswith(_SCHEMES):
                raise DefinitionError(f"{self!r}: an address begins with http:// or https://.")
        if self.list is not None:
            KeyPattern(_without_references(self.list), {"after": str, "limit": int})
            if len(self.key) > 1:
                raise DefinitionError("list= is for keys of one field. Leave it out.")
        if not (self.listed == "$" or self.listed.startswith("$.")):
            raise DefinitionError('listed= is "$" or the place of a list, such as "$.items".')
        seconds_of(self.answers_within)

    @property
    def fences(self) -> bool:
        """Whether the store refuses copies from the past."""
        return False

    @property
    def answers_within_seconds(self) -> float:
        """`answers_within` in seconds."""
        return seconds_of(self.answers_within)

    def with_url(self, resolve: Callable[[str], str]) -> "HttpResource":
        """The same description with the references in its addresses resolved."""
        return replace(
            self,
            url=resolve(self.url),
            list=None if self.list is None else resolve(self.list),
        )

    def with_headers(self, resolve: Callable[[str], str]) -> "HttpResource":
        """The same description with the references in its headers resolved."""
        return replace(self, headers={name: resolve(one) for name, one in self.headers.items()})

    def __repr__(self) -> str:
        """The description without secrets."""
        return f"HttpResource({without_secrets(self.url)!r})"


def _without_references(text: str) -> str:
    return _REFERENCE.sub("", text)
