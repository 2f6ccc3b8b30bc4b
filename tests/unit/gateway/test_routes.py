"""Requests find their operation, and no spelling of a path gets around it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.errors import DefinitionError
from crossfade.gateway.problem import RequestRefusedError
from crossfade.gateway.routes import Routes

TABLE = [
    ("GET", "/customers", "list"),
    ("GET", "/customers/{id}", "read"),
    ("GET", "/customers/new", "form"),
    ("PUT", "/customers/{id}", "write"),
    ("GET", "/customers/{id}/orders/{order}", "order"),
    ("GET", "/profil/größe", "size"),
    ("GET", "/slash/{id}/", "slash"),
]
ROUTES: Routes[str] = Routes(TABLE)


@pytest.mark.parametrize(
    ("method", "path", "operation", "parameters"),
    [
        ("GET", b"/customers", "list", {}),
        ("GET", b"/customers/17", "read", {"id": "17"}),
        ("PUT", b"/customers/17", "write", {"id": "17"}),
        ("GET", b"/customers/new", "form", {}),
        ("PUT", b"/customers/new", "write", {"id": "new"}),
        ("GET", b"/customers/1/orders/2", "order", {"id": "1", "order": "2"}),
        ("GET", b"/%63ustomers/1%37", "read", {"id": "17"}),
        ("GET", b"/customers/%C3%A9%20x", "read", {"id": "é x"}),
        ("GET", b"/customers/a%2Fb", "read", {"id": "a/b"}),
        ("GET", b"/customers/100%25", "read", {"id": "100%"}),
        ("GET", b"/customers/%2541", "read", {"id": "%41"}),
        ("GET", b"/customers/%zz", "read", {"id": "%zz"}),
        ("GET", b"/customers/a+b", "read", {"id": "a+b"}),
        ("GET", b"/customers/.x", "read", {"id": ".x"}),
        ("GET", b"/customers/...", "read", {"id": "..."}),
        ("GET", b"/profil/gr%C3%B6%C3%9Fe", "size", {}),
        ("GET", b"/customers/17/", "read", {"id": "17"}),
        ("GET", b"/customers/", "list", {}),
        ("GET", b"/slash/1", "slash", {"id": "1"}),
        ("GET", b"/slash/1/", "slash", {"id": "1"}),
    ],
)
def test_requests_find_their_operation(
    method: str, path: bytes, operation: str, parameters: dict[str, str]
) -> None:
    """Literals before names, each value decoded once, a slash at the end is nothing."""
    matched = ROUTES.match(method, path)

    assert matched is not None
    assert (matched.operation, matched.parameters) == (operation, parameters)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", b"/"),
        ("GET", b"*"),
        ("GET", b""),
        ("DELETE", b"/customers/17"),
        ("GET", b"/other/customers/17/x/y"),
        ("GET", b"/Customers/17"),
        ("GET", b"/files/../images//x;y"),
        ("PUT", b"/customers"),
        ("PUT", b"/customers/17/.."),
    ],
)
def test_other_requests_pass_through(method: str, path: bytes) -> None:
    """No operation, and no way to read the path as one."""
    assert ROUTES.match(method, path) is None


@pytest.mark.parametrize(
    "path",
    [
        b"/x/../customers/17",
        b"/./customers/17",
        b"/x/%2e%2e/customers/17",
        b"/x/%2E./customers/17",
        b"//customers/17",
        b"/customers//17",
        b"/customers%2F17",
        b"/customers%2f17",
        b"/customers%5C17",
        b"/customers\\17",
        b"/x\\..\\customers\\17",
        b"/customers;v=1/17",
        b"/customers/17;v=1",
        b"/%2563ustomers/17",
        b"/customers%252F17",
        b"/x%2f..%2fcustomers/17",
        b"/customers/17/orders/..",
        b"/customers/..;/customers/17",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_paths_that_a_service_may_read_otherwise_are_refused(method: str, path: bytes) -> None:
    """They would reach an operation behind the gateway's back, or with another key."""
    with pytest.raises(RequestRefusedError) as caught:
        ROUTES.match(method, path)

    assert caught.value.problem.name == "ambiguous-path"
    assert caught.value.problem.status == 400


def test_an_encoded_slash_that_could_name_another_operation_is_refused() -> None:
    """`/customers/1%2Forders%2F2` is a key for us and an order for a lenient service."""
    with pytest.raises(RequestRefusedError):
        ROUTES.match("GET", b"/customers/1%2Forders%2F2")


@pytest.mark.parametrize("path", [b"/customers/%FF", b"/customers/a%00b"])
def test_keys_that_are_no_text_are_refused(path: bytes) -> None:
    """A key is text that both stores can hold."""
    with pytest.raises(RequestRefusedError, match="not valid UTF-8"):
        ROUTES.match("GET", path)


@given(st.text(min_size=1, max_size=12).filter(lambda text: "\0" not in text))
def test_every_key_survives_its_way_through_a_path(key: str) -> None:
    """Quoted as a client would, the key comes out as it went in, or the path is refused."""
    quoted = "".join(
        chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else f"%{byte:02X}"
        for byte in key.encode("utf-8", "surrogatepass")
    )
    try:
        matched = ROUTES.match("PUT", f"/customers/{quoted}".encode("ascii"))
    except RequestRefusedError:
        return

    assert matched is None or matched.parameters == {"id": key}
    assert matched is not None or key in (".", "..")


@given(st.lists(st.sampled_from([b"/", b".", b"..", b"%2e", b"%2f", b";", b"\\", b"customers",
                                 b"17", b"x", b"%63ustomers"]), max_size=8))  # fmt: skip
def test_no_spelling_gets_around_an_operation(parts: list[bytes]) -> None:
    """Whatever passes through is no operation after the usual clean-up of paths either."""
    path = b"/" + b"".join(parts)
    try:
        matched = ROUTES.match("PUT", path)
    except RequestRefusedError:
        return
    cleaned = _cleaned(path)

    if matched is None:
        assert not (len(cleaned) == 2 and cleaned[0] == "customers")
    else:
        assert cleaned == ["customers", matched.parameters["id"]]


def _cleaned(path: bytes) -> list[str]:
    """As a lenient service would: parameters off, decode, backslashes, dots, empty segments."""
    from urllib.parse import unquote  # noqa: PLC0415 - the test's own reading

    text = "/".join(part.partition(";")[0] for part in path.decode("ascii").split("/"))
    kept: list[str] = []
    for part in unquote(text).replace("\\", "/").split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    return kept


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([("GET", "/a/{x}"), ("GET", "/a/{y}")], "claim the same request"),
        ([("GET", "/a/b"), ("GET", "/a/b")], "claim the same request"),
        ([("GET", "/a/{x}/c"), ("GET", "/a/b/{y}")], "claim the same request"),
        ([("GET", "a")], "is no route"),
        ([("get", "/a")], "is no route"),
        ([("GET", "")], "is no route"),
        ([("GET", "/a?x={y}")], "can never be reached"),
        ([("GET", "/a/../b")], "can never be reached"),
        ([("GET", "/a//b")], "can never be reached"),
        ([("GET", "/a%20b")], "can never be reached"),
        ([("GET", "/{x}.json")], "can never be reached"),
        ([("GET", "/{}")], "can never be reached"),
        ([("GET", "/a;b")], "can never be reached"),
        ([("GET", "/{x}/{x}")], "uses a name twice"),
    ],
)
def test_mistakes_are_found_at_definition_time(table: list[tuple[str, str]], words: str) -> None:
    """One line that names the routes and says what to do."""
    operations: list[tuple[str, str, Any]] = [(*route, "x") for route in table]
    with pytest.raises(DefinitionError, match=words) as caught:
        Routes(operations)

    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_special_cases_are_no_conflict() -> None:
    """A literal inside a name's place, other methods and other lengths live side by side."""
    routes = Routes(
        [
            ("GET", "/{a}/{b}", 1),
            ("GET", "/x/{b}", 2),
            ("GET", "/x/y", 3),
            ("PUT", "/x/y", 4),
            ("GET", "/x", 5),
        ]
    )

    found = [routes.match("GET", path) for path in (b"/p/q", b"/x/q", b"/x/y", b"/x")]

    assert [each.operation for each in found if each] == [1, 2, 3, 5]
