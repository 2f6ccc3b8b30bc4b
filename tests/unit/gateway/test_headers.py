"""Which header lines pass, which go, which are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.gateway.headers import (
    HOP_BY_HOP,
    Framing,
    Hop,
    headers_for_caller,
    headers_for_service,
    is_loop,
    read_request_head,
    with_body,
)
from crossfade.gateway.problem import Header, RequestRefusedError

HOST = (b"Host", b"shop")
HOP = Hop(identity=b"shop-1", scheme=b"https", caller=b"10.0.0.9")
TRUSTING = Hop(identity=b"shop-1", scheme=b"http", caller=b"10.0.0.9", hops_trusted=2)
VALUE = st.binary(max_size=20).map(lambda value: value.replace(b"\n", b"").replace(b"\r", b""))
ORDINARY = st.sampled_from([b"Accept", b"accept", b"X-Thing", b"Cookie", b"ETag", b"User-Agent"])


@given(st.lists(st.tuples(ORDINARY, VALUE), max_size=12))
def test_ordinary_lines_pass_in_order_and_untouched(lines: list[Header]) -> None:
    """Whatever they are, how often, and with which bytes."""
    head = read_request_head([HOST, *lines], "1.1")

    assert head.passed == [HOST, *lines]
    assert headers_for_caller(lines, 200) == lines


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP - {b"transfer-encoding", b"connection"}))
def test_hop_by_hop_lines_go_no_further(name: bytes) -> None:
    """Neither to the service nor to the caller, in whatever case."""
    lines = [HOST, (name.title(), b"x")]

    assert read_request_head(lines, "1.1").passed == [HOST]
    assert headers_for_caller(lines, 200) == [HOST]


def test_named_lines_go_but_not_the_protected_ones() -> None:
    """`Connection` takes off what it names, except what services rely on for their safety."""
    names = b"X-Hop, authorization, Host, Cookie, Content-Type, X-Forwarded-For, X-Crossfade-Via"
    lines = [
        HOST,
        (b"Authorization", b"t"),
        (b"x-hop", b"1"),
        (b"Cookie", b"c"),
        (b"Content-Type", b"j"),
        (b"Connection", names),
    ]

    passed = read_request_head(lines, "1.1").passed

    assert [name for name, _ in passed] == [b"Host", b"Authorization", b"Cookie", b"Content-Type"]


@pytest.mark.parametrize(
    ("lines", "version", "framing", "length"),
    [
        ([], "1.1", Framing.NONE, 0),
        ([(b"Content-Length", b"0")], "1.1", Framing.LENGTH, 0),
        ([(b"content-length", b"17")], "1.0", Framing.LENGTH, 17),
        ([(b"Transfer-Encoding", b"CHUNKED")], "1.1", Framing.CHUNKED, 0),
    ],
)
def test_framing_is_read(lines: list[Header], version: str, framing: Framing, length: int) -> None:
    """How the end of the body is found."""
    head = read_request_head([HOST, *lines], version)

    assert (head.framing, head.length) == (framing, length)


@pytest.mark.parametrize(
    ("lines", "version"),
    [
        ([HOST, (b"Content-Length", b"1"), (b"Transfer-Encoding", b"chunked")], "1.1"),
        ([HOST, (b"Content-Length", b"1"), (b"content-length", b"1")], "1.1"),
        ([HOST, (b"Content-Length", b"1,1")], "1.1"),
        ([HOST, (b"Content-Length", b"-1")], "1.1"),
        ([HOST, (b"Content-Length", b"")], "1.1"),
        ([HOST, (b"Content-Length", b"1" * 19)], "1.1"),
        ([HOST, (b"Content-Length", "²".encode())], "1.1"),
        ([HOST, (b"Transfer-Encoding", b"gzip, chunked")], "1.1"),
        ([HOST, (b"Transfer-Encoding", b"chunked, chunked")], "1.1"),
        ([HOST, (b"Transfer-Encoding", b"\x0bchunked")], "1.1"),
        ([HOST, (b"Transfer-Encoding", b"chunked"), (b"TE", b"x")], "1.0"),
        ([HOST, (b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"x")], "1.1"),
        ([HOST, HOST], "1.1"),
        ([HOST, HOST], "1.0"),
        ([], "1.1"),
        ([HOST, (b"X_Forwarded_For", b"1")], "1.1"),
        ([HOST, (b"transfer_encoding", b"chunked")], "1.1"),
        ([HOST, (b"x_crossfade_stage", b"live")], "1.1"),
    ],
)
def test_ambiguous_heads_are_refused(lines: list[Header], version: str) -> None:
    """400, and the connection closes."""
    with pytest.raises(RequestRefusedError) as caught:
        read_request_head(lines, version)

    assert (caught.value.problem.status, caught.value.problem.close) == (400, True)


def test_other_underscores_pass() -> None:
    """Only names that look like a reserved one are refused."""
    line = (b"my_header", b"1")

    assert read_request_head([HOST, line], "1.1").passed == [HOST, line]


def test_callers_cannot_say_who_they_are() -> None:
    """What was said about forwarding is replaced, and our own lines are taken off."""
    head = read_request_head(
        [
            HOST,
            (b"X-Forwarded-For", b"1.1.1.1"),
            (b"X-Forwarded-Proto", b"ftp"),
            (b"X-Forwarded-Host", b"evil"),
            (b"Forwarded", b"for=1.1.1.1"),
            (b"X-Crossfade-Stage", b"live"),
        ],
        "1.1",
    )

    assert headers_for_service(head, HOP) == [
        HOST,
        (b"X-Forwarded-For", b"10.0.0.9"),
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-Host", b"shop"),
        (b"X-Crossfade-Via", b"shop-1"),
    ]


def test_trusted_proxies_are_believed_as_far_as_they_go() -> None:
    """Of five entries the last two were written by trusted proxies; the peer is added."""
    head = read_request_head(
        [
            HOST,
            (b"X-Forwarded-For", b"6.6.6.6, 1.1.1.1"),
            (b"X-Forwarded-For", b"2.2.2.2,3.3.3.3"),
            (b"X-Forwarded-Proto", b"https"),
            (b"X-Forwarded-Host", b"public"),
        ],
        "1.1",
    )

    assert headers_for_service(head, TRUSTING)[1:4] == [
        (b"X-Forwarded-For", b"2.2.2.2, 3.3.3.3, 10.0.0.9"),
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-Host", b"public"),
    ]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([], False),
        ([b"shop-1"], True),
        ([b"a, shop-1"], True),
        ([b"a", b"shop-1 ,b"], True),
        ([b"shop-10"], False),
    ],
)
def test_a_loop_is_seen(seen: list[bytes], expected: bool) -> None:  # noqa: FBT001 - a table
    """Our own name among those who passed the request on."""
    head = read_request_head([HOST, *((b"x-crossfade-via", value) for value in seen)], "1.1")

    assert is_loop(head, b"shop-1") is expected


def test_chunked_stays_chunked_and_comes_last() -> None:
    """The service is told of the chunks that the gateway writes."""
    head = read_request_head([HOST, (b"Transfer-Encoding", b"chunked")], "1.1")

    assert headers_for_service(head, HOP)[-1] == (b"Transfer-Encoding", b"chunked")


def test_a_body_read_whole_is_framed_by_its_length() -> None:
    """Whatever framed it before is replaced."""
    lines = [HOST, (b"transfer-encoding", b"chunked"), (b"Content-Length", b"9")]

    assert with_body(lines, b"abc") == [HOST, (b"Content-Length", b"3")]


def test_a_204_has_no_length() -> None:
    """RFC 9110 forbids it, and some clients wait for the bytes."""
    assert headers_for_caller([(b"content-length", b"0"), (b"X", b"1")], 204) == [(b"X", b"1")]
    assert headers_for_caller([(b"content-length", b"0")], 200) == [(b"content-length", b"0")]
