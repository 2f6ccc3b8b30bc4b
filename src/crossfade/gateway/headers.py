"""Which header lines pass the gateway, and which are refused, dropped or added; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from crossfade.gateway.problem import Header, Problem, RequestRefusedError

VIA = b"X-Crossfade-Via"
OWN_PREFIX = b"x-crossfade-"

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Said to the next hop only (RFC 9110, 7.6.1); never passed on."""

REWRITTEN = frozenset(
    {b"expect", b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"}
)
"""Of a request: taken off, and written anew where they belong."""

NOTED = frozenset({b"content-length", b"host"})
"""Of a request: looked at, and passed on as they are."""

PROTECTED_PREFIXES = (b"content-", b"x-forwarded-", OWN_PREFIX)
PROTECTED = frozenset(
    {
        b"authorization",
        b"cache-control",
        b"cookie",
        b"date",
        b"forwarded",
        b"host",
        b"location",
        b"origin",
        b"set-cookie",
        b"www-authenticate",
    }
)
"""`Connection: Authorization` and the like cannot take these off on the way to a service."""

LOOK_ALIKES = HOP_BY_HOP | REWRITTEN | NOTED
_TAKEN = HOP_BY_HOP | REWRITTEN
_HARMLESS_OPTIONS = frozenset({b"close", b"keep-alive", b"", b"te", b"upgrade"})
_LENGTH_DIGITS_MAX = 18


class Framing(Enum):
    """How the end of a request's body is found."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"


@dataclass(slots=True)
class RequestHead:
    """A request's header lines after the first look; nothing here is decoded or reordered."""

    passed: list[Header]
    """What goes on to a service, bytes and order as they came."""
    framing: Framing
    length: int
    """Bytes of the body; 0 unless the framing is LENGTH."""
    noted: dict[bytes, list[bytes]]
    """Values of special lines, by lower-case name, in order."""

    @property
    def host(self) -> bytes | None:
        """The value of `Host`; None for an HTTP/1.0 request without one."""
        values = self.noted.get(b"host")
        return values[0] if values else None

    @property
    def upgrade(self) -> bytes:
        """The protocols the caller would like to change to, lower case; mostly empty."""
        return b",".join(self.noted.get(b"upgrade", ())).lower()


@dataclass(frozen=True, slots=True)
class Hop:
    """What the gateway says about itself and its caller to the service behind it."""

    identity: bytes
    """Names this migration's gateways; a request that carries it already is a loop."""
    scheme: bytes
    caller: bytes
    """Address of the peer, without its port."""
    hops_trusted: int = 0


def refuse(status: int, name: str, title: str, detail: str) -> RequestRefusedError:
    """The error for a request that is refused because of its head."""
    return RequestRefusedError(
        Problem(status=status, name=name, title=title, detail=detail, close=True)
    )


def _malformed(detail: str) -> RequestRefusedError:
    return refuse(400, "malformed-request", "Malformed request", detail)


def read_request_head(headers: Iterable[Header], http_version: str) -> RequestHead:
    """Sort the header lines of a request; raises RequestRefusedError on ambiguous ones."""
    passed: list[Header] = []
    noted: dict[bytes, list[bytes]] = {}
    for line in headers:
        name = line[0].lower()
        if name in _TAKEN or name[:12] == OWN_PREFIX:
            noted.setdefault(name, []).append(line[1])
            continue
        if name in NOTED:
            noted.setdefault(name, []).append(line[1])
        elif b"_" in name:
            _check_look_alike(name)
        passed.append(line)
    framing, length = _framing(noted, http_version)
    _check_host(noted, http_version)
    if b"expect" in noted:
        _check_expect(noted[b"expect"])
    if b"connection" in noted:
        passed = _without_nominated(passed, noted[b"connection"])
    return RequestHead(passed, framing, length, noted)


def _check_look_alike(name: bytes) -> None:
    """Many servers read `_` as `-`: `X_Forwarded_For` would pass as the real one."""
    meant = name.replace(b"_", b"-")
    if meant in LOOK_ALIKES or meant.startswith(OWN_PREFIX):
        raise _malformed("A header name with an underscore looks like a reserved one.")


def _framing(noted: dict[bytes, list[bytes]], http_version: str) -> tuple[Framing, int]:
    lengths = noted.get(b"content-length")
    codings = noted.get(b"transfer-encoding")
    if codings is not None:
        if lengths is not None:
            raise _malformed("Content-Length and Transfer-Encoding are both present.")
        if len(codings) != 1 or codings[0].strip(b" \t").lower() != b"chunked":
            raise _malformed("Transfer-Encoding is not exactly `chunked`.")
        if http_version != "1.1":
            raise _malformed("Transfer-Encoding needs HTTP/1.1.")
        return Framing.CHUNKED, 0
    if lengths is None:
        return Framing.NONE, 0
    digits = lengths[0].strip(b" \t")
    if len(lengths) != 1 or not digits.isdigit() or len(digits) > _LENGTH_DIGITS_MAX:
        raise _malformed("Content-Length is not exactly one number.")
    return Framing.LENGTH, int(digits)


def _check_host(noted: dict[bytes, list[bytes]], http_version: str) -> None:
    hosts = noted.get(b"host", ())
    if len(hosts) > 1 or (not hosts and http_version != "1.0"):
        raise _malformed("A request needs exactly one Host header.")


def _check_expect(values: Sequence[bytes]) -> None:
    if any(value.strip(b" \t").lower() != b"100-continue" for value in values):
        raise refuse(
            417,
            "expectation-failed",
            "Expectation failed",
            "The gateway knows no other expectation than 100-continue.",
        )


def _without_nominated(passed: list[Header], connection: Iterable[bytes]) -> list[Header]:
    options = {part.strip(b" \t").lower() for value in connection for part in value.split(b",")}
    named = {
        option
        for option in options - _HARMLESS_OPTIONS - PROTECTED
        if not option.startswith(PROTECTED_PREFIXES)
    }
    if not named:
        return passed
    return [line for line in passed if line[0].lower() not in named]


def is_loop(head: RequestHead, identity: bytes) -> bool:
    """Whether a gateway of the same migration has passed this request on before."""
    seen = head.noted.get(VIA.lower())
    if seen is None:
        return False
    return any(part.strip(b" \t") == identity for value in seen for part in value.split(b","))


def headers_for_service(head: RequestHead, hop: Hop) -> list[Header]:
    """The lines for the service: those of the caller, then what the gateway adds.

    `Content-Length` is among the caller's lines; a chunked body stays chunked.
    """
    lines = head.passed.copy()
    noted = head.noted
    if hop.hops_trusted:
        lines += _trusted_forwarding(noted, hop)
    else:
        lines.append((b"X-Forwarded-For", hop.caller))
        lines.append((b"X-Forwarded-Proto", hop.scheme))
        if b"host" in noted:
            lines.append((b"X-Forwarded-Host", noted[b"host"][0]))
    seen = noted.get(b"x-crossfade-via")
    lines.append((VIA, hop.identity if seen is None else b", ".join([*seen, hop.identity])))
    if head.framing is Framing.CHUNKED:
        lines.append((b"Transfer-Encoding", b"chunked"))
    return lines


def _trusted_forwarding(noted: dict[bytes, list[bytes]], hop: Hop) -> list[Header]:
    """Believe the last entries that trusted proxies wrote; keep what they said of the rest."""
    said = b",".join(noted.get(b"x-forwarded-for", ()))
    entries = [part.strip(b" \t") for part in said.split(b",") if part.strip(b" \t")]
    believed = [*entries[-hop.hops_trusted :], hop.caller]
    lines = [(b"X-Forwarded-For", b", ".join(believed))]
    proto = noted.get(b"x-forwarded-proto", [hop.scheme])
    lines.append((b"X-Forwarded-Proto", proto[-1]))
    host = noted.get(b"x-forwarded-host") or noted.get(b"host")
    if host:
        lines.append((b"X-Forwarded-Host", host[-1]))
    lines.extend((b"Forwarded", value) for value in noted.get(b"forwarded", ()))
    return lines


def headers_for_caller(headers: Iterable[Header], status: int) -> list[Header]:
    """The lines of a service's answer that go to the caller, bytes and order as they came."""
    passed: list[Header] = []
    connection: list[bytes] = []
    for line in headers:
        name = line[0].lower()
        if name in HOP_BY_HOP:
            if name == b"connection":
                connection.append(line[1])
        elif name[:12] != OWN_PREFIX:
            passed.append(line)
    if connection:
        passed = _without_nominated(passed, connection)
    if status == 204:  # noqa: PLR2004 - a 204 has no body, so no length either (RFC 9110, 8.6)
        passed = [line for line in passed if line[0].lower() != b"content-length"]
    return passed


def with_body(headers: Iterable[Header], body: bytes) -> list[Header]:
    """`headers` framed for a body that is now known whole."""
    lines = [line for line in headers if line[0].lower() not in _FRAMING_NAMES]
    lines.append((b"Content-Length", b"%d" % len(body)))
    return lines


_FRAMING_NAMES = frozenset({b"content-length", b"transfer-encoding"})
