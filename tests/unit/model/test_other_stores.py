"""Descriptions of documents, HTTP resources and functions: mistakes are found when written."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from crossfade.control.outline import Level, level_of
from crossfade.errors import DefinitionError
from crossfade.model.entity import Entity, Writers
from crossfade.model.store_documents import Items, MongoCollection, RedisDocuments
from crossfade.model.store_functions import Functions
from crossfade.model.store_http import HttpResource

URL = "redis://user:hunter2@host/0"


def _functions(**more: Any) -> Functions:  # noqa: ANN401 - whatever they have
    return Functions(read=lambda _: None, put=lambda *_: None, delete=lambda _: None, **more)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: RedisDocuments(URL, "customer"), r"\{id\}"),
        (lambda: RedisDocuments(URL, "crossfade:{id}"), "ours"),
        (lambda: RedisDocuments(URL, "c:{id}", key={}), "key="),
        (lambda: RedisDocuments(URL, "c:{id}", key={"id": float}), "key="),
        (lambda: RedisDocuments(URL, "c:{id}", types={"total": complex}), "types="),
        (lambda: RedisDocuments(URL, "c:{id}", items={"id": Items("a")}), "items="),
        (lambda: RedisDocuments(URL, "c:{id}", items={"lines": Items("")}), "items="),
        (lambda: RedisDocuments(URL, "c:{id}", items={"lines": Items(())}), "items="),
        (lambda: HttpResource("http://h/c"), r"\{id\}"),
        (lambda: HttpResource("ftp://h/{id}"), "http://"),
        (lambda: HttpResource("http://h/{id}", list="http://h/?a={after}"), r"\{limit\}"),
        (lambda: HttpResource("http://h/{id}", list="h?a={after}&l={limit}"), "http://"),
        (
            lambda: HttpResource(
                "http://h/{a}/{b}",
                key={"a": str, "b": int},
                list="http://h?a={after}&l={limit}",
            ),
            "one field",
        ),
        (lambda: HttpResource("http://h/{id}", listed="items"), "listed="),
        (
            lambda: HttpResource("http://h/{id}", update="PATCH", items={"l": Items("a")}),
            "PATCH",
        ),
        (lambda: HttpResource("http://h/{id}", answers_within="soon"), "span of time"),
        (lambda: _functions(key={"id": bytes}), "key="),
        (lambda: _functions(answers_within="0s"), "above zero"),
    ],
)
def test_what_cannot_be_meant_is_refused(make: Callable[[], object], words: str) -> None:
    """Nothing was opened then."""
    with pytest.raises(DefinitionError, match=words):
        make()


@pytest.mark.parametrize(
    "description",
    [
        RedisDocuments(URL, "customer:{id}", types={"total": Decimal, "at": datetime}),
        MongoCollection(URL, "customers", key={"_id": str}),
        HttpResource("https://user:hunter2@host/{id}", headers={"Authorization": "hunter2"}),
    ],
)
def test_a_description_shows_no_secret(description: object) -> None:
    """Neither a password nor a header."""
    assert "hunter2" not in repr(description)


def test_references_are_resolved_wherever_an_address_stands() -> None:
    """Also in front of the path; headers apart, since they are no addresses."""
    described = HttpResource(
        "${env:SHOP}/c/{id}",
        list="${env:SHOP}/c?a={after}&l={limit}",
        headers={"X": "${env:KEY}"},
        answers_within="250ms",
    )

    resolved = described.with_url(lambda text: text.replace("${env:SHOP}", "http://h"))
    with_headers = resolved.with_headers(lambda text: text.replace("${env:KEY}", "k"))

    assert resolved.url == "http://h/c/{id}"
    assert resolved.list == "http://h/c?a={after}&l={limit}"
    assert with_headers.headers == {"X": "k"}
    assert HttpResource("http://h/{id}").with_url(str).list is None
    assert RedisDocuments("${env:R}", "c:{id}").with_url(lambda _: URL).url == URL
    assert described.answers_within_seconds == 0.25
    assert described.key_types == (int,)


def test_functions_have_a_name_and_no_address() -> None:
    """What messages call them."""
    functions = _functions(name="crm", key={"id": int, "part": str})

    assert functions.with_url(str) is functions
    assert repr(functions) == "Functions('crm')"
    assert functions.key_types == (int, str)
    assert functions.answers_within_seconds == 10.0


def test_the_fields_of_a_key_come_in_their_order() -> None:
    """One or several."""
    assert Items("article").key_fields == ("article",)
    assert Items(("a", "b")).key_fields == ("a", "b")


@pytest.mark.parametrize(
    ("new", "writers", "level"),
    [
        (RedisDocuments(URL, "c:{id}"), Writers.GATEWAY, Level.L2),
        (HttpResource("http://h/{id}"), Writers.GATEWAY, Level.L3),
        (_functions(), Writers.GATEWAY, Level.L3),
        (_functions(), Writers.OTHERS, Level.L4),
    ],
)
def test_an_entity_is_as_sure_as_its_weakest_part(
    new: object, writers: Writers, level: Level
) -> None:
    """A store that cannot fence makes it L3, writers behind our back L4."""
    entity = Entity("c", object(), new, to_new=dict, to_legacy=dict, writers=writers)

    assert level_of(entity) is level
