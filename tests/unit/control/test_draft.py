"""`init` pairs tables and columns by name, and writes Python that can be run."""

import ast
import tomllib

from crossfade.control.draft.pairing import EntityDraft, Table, pair_tables
from crossfade.control.draft.writing import Places, migration_text, settings_text

LEGACY = [
    Table("Customer", ("CustomerId", "FullName", "Email"), ("CustomerId",)),
    Table("Category", ("CategoryId", "Label"), ("CategoryId",)),
    Table("OrderLine", ("OrderId", "LineNumber"), ("OrderId", "LineNumber")),
    Table("Log", ("At",), ()),
]
NEW = [
    Table("customers", ("id", "display_name", "email"), ("id",)),
    Table("categories", ("category_id", "label"), ("category_id",)),
    Table("order_lines", ("id", "line_number"), ("id",)),
    Table("logs", ("at",), ()),
]
PLACES = Places("http://l", "http://n", "${env:LEGACY_DB}", "${env:NEW_DB}")


def drafts() -> dict[str, EntityDraft]:
    """The pairs, by name."""
    return {draft.name: draft for draft in pair_tables(LEGACY, NEW)}


def test_tables_pair_whatever_their_case_and_number() -> None:
    """Keys of different lengths, and tables without one, do not."""
    assert list(drafts()) == ["customer", "category"]


def test_columns_pair_without_the_entitys_name() -> None:
    """`CustomerId` is `id`; the rest is left to somebody who knows."""
    customer = drafts()["customer"]

    assert customer.columns == (("CustomerId", "id"), ("Email", "email"))
    assert (customer.legacy_alone, customer.new_alone) == (("FullName",), ("display_name",))


def test_the_definition_is_python_and_names_what_is_open() -> None:
    """With pairs, and with the example where nothing was found."""
    for found in (list(drafts().values()), []):
        text = migration_text("shop-2", PLACES, found)

        ast.parse(text)
        assert 'Migration(\n    "shop-2",' in text
    assert '# "display_name": ...' in migration_text("shop", PLACES, list(drafts().values()))


def test_the_settings_are_toml() -> None:
    """All at the values that were given."""
    settings = tomllib.loads(settings_text(1, 2))

    assert (settings["gateway"]["port"], settings["control"]["port"]) == (1, 2)
