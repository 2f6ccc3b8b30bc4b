"""The definition: what it makes of a few lines, and which mistakes it finds at once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from crossfade.errors import ConfigurationError, DefinitionError
from crossfade.migration import Migration, find_migration, json, load_migration, path, query
from crossfade.model.entity import Entity
from crossfade.model.plan import OperationKind
from crossfade.model.service import HttpService
from crossfade.model.store_description import SqlTable

LEGACY = HttpService("http://127.0.0.1:1")
NEW = HttpService("http://127.0.0.1:2")


def _shop() -> tuple[Migration, Entity]:
    shop = Migration("shop", legacy=LEGACY, new=NEW)
    table = SqlTable("sqlite:///shop.db", "customer", key="id")
    return shop, shop.entity("customer", legacy=table, new=table, to_new=dict, to_legacy=dict)


def test_a_resource_reads_by_get_and_writes_by_the_rest() -> None:
    """Creates are taken from the answer and never replayed."""
    shop, customers = _shop()

    shop.resource("/c", "/c/{id}", customers, created=json("$.id"), replay=True)

    kinds = {name: one.kind for name, one in shop.operations.items()}
    reads = {"GET /c", "HEAD /c", "GET /c/{id}", "HEAD /c/{id}"}
    writes = {"PUT /c/{id}", "PATCH /c/{id}", "DELETE /c/{id}", "POST /c/{id}", "POST /c"}
    assert {name for name, kind in kinds.items() if kind is OperationKind.READ} == reads
    assert {name for name, kind in kinds.items() if kind is OperationKind.WRITE} == writes
    assert shop.operations["PUT /c/{id}"].replay
    assert not shop.operations["POST /c"].replay


MISTAKES: dict[str, Callable[[Migration, Entity], object]] = {
    "a write without a key": lambda shop, one: shop.route("POST /c", writes=one),
    "neither read nor write": lambda shop, _: shop.route("GET /c"),
    "both": lambda shop, one: shop.route("GET /c", reads=one, writes=one),
    "a key that is not in the path": lambda shop, one: shop.route(
        "GET /c/{id}", reads=one, key=path("name")
    ),
    "no route": lambda shop, one: shop.route("customers", reads=one),
    "a replay that would create twice": lambda shop, one: shop.route(
        "POST /c", writes=one, created=json("$.id"), replay=True
    ),
    "no field": lambda *_: json("id"),
    "an item without a key": lambda shop, one: shop.resource("/c", "/c", one),
    "an entity twice": lambda shop, one: shop.entity(
        "customer", legacy=one.legacy, new=one.new, to_new=dict, to_legacy=dict
    ),
    "a name with capitals": lambda *_: Migration("Shop", legacy=LEGACY, new=NEW),
    "an entity of another migration": lambda _, one: _shop()[0].route(
        "GET /c/{id}", reads=one, key=path("id")
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_found_when_it_is_written(
    mistake: Callable[[Migration, Entity], object],
) -> None:
    """Not at three in the morning; the definition stays as it was."""
    shop, customers = _shop()

    with pytest.raises(DefinitionError):
        mistake(shop, customers)

    assert shop.operations == {}


def test_an_operation_is_declared_once() -> None:
    """The second one would never be reached."""
    shop, customers = _shop()
    shop.route("GET /c", reads=customers, key=query("id"))

    with pytest.raises(DefinitionError, match="twice"):
        shop.route("GET /c", reads=customers, key=query("id"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sqlite:///shop.db", "sqlite:///{folder}/shop.db"),
        ("sqlite:////var/shop.db", "sqlite:////var/shop.db"),
        ("shop.db", "{folder}/shop.db"),
        ("${env:DB}", "sqlite:///{folder}/secret.db"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
    ],
)
def test_relative_databases_count_from_the_definitions_folder(
    tmp_path: Path, text: str, expected: str
) -> None:
    """Wherever the command is called from."""
    shop, _ = _shop()
    shop.folder = tmp_path

    url = shop.database_url(text, {"DB": "sqlite:///secret.db"})

    assert url == expected.format(folder=tmp_path)


def test_the_definition_is_found_by_walking_up(tmp_path: Path) -> None:
    """Like a version control folder."""
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "migration.py").write_text("", encoding="utf-8")

    assert find_migration(below) == tmp_path / "migration.py"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "makes 0 migrations"),
        ("import nothing_of_this_name", "ModuleNotFoundError in line 1"),
        ("def broken(:", "SyntaxError in line 1"),
        ("\n\nraise ValueError('no')", "ValueError in line 3"),
        ("raise ValueError('two\\nlines')", "two lines"),
        ("raise SystemExit('bye')", "SystemExit in line 1"),
    ],
)
def test_a_broken_definition_is_told_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    """With the line where it broke."""
    file = tmp_path / "migration.py"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigurationError, match=words) as told:
        load_migration(file)

    assert "\n" not in str(told.value)
