"""Every limit of the gateway, with its unit and the reason for its default."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """What callers may send, what services may answer, and how long each may take."""

    request_line_bytes_max: int = 8 * 1024
    """Bytes of method, target and version; what common servers accept. Over: 414."""

    request_head_bytes_max: int = 32 * 1024
    """Bytes of all header lines of one request; holds large cookies and tokens. Over: 431."""

    request_headers_max: int = 100
    """Header lines of one request. Over: 431."""

    buffered_body_bytes_max: int = 10 * 1024 * 1024
    """Bytes of a body that is read whole (a write for both sides). Over: 413."""

    compared_body_bytes_max: int = 1024 * 1024
    """Bytes of a read's answer that are kept so that it can be checked and compared; a longer
    one streams, and is checked when its head comes."""

    discarded_body_bytes_max: int = 1024 * 1024
    """Bytes of an unread body that are read and dropped after an early answer, so that the
    caller gets to see the answer; over: the connection is closed."""

    stream_buffer_bytes_max: int = 128 * 1024
    """Bytes held per direction of one streamed body before its sender has to wait."""

    head_seconds_max: float = 10.0
    """Seconds from the first byte of a request to the end of its head. Over: closed."""

    body_idle_seconds_max: float = 30.0
    """Seconds without a byte while a caller sends its body. Over: 408."""

    refusal_linger_seconds: float = 1.0
    """Seconds in which a refused caller may still send, unheard, and read why; closing at once
    would take the answer away from it."""

    keep_alive_seconds_max: float = 65.0
    """Seconds an idle connection of a caller is kept; above the 60 s of usual balancers, so
    that it is they who close."""

    connections_max: int = 4096
    """Connections of callers at a time; each costs some ten KiB. Over: closed at once."""

    pipelined_requests_max: int = 32
    """Requests that one connection may send ahead of their answers. Over: it is closed after
    the answer under way."""

    forwarded_hops_trusted: int = 0
    """Trusted proxies in front of the gateway. 0: incoming `X-Forwarded-*` are replaced;
    n: the last n entries of `X-Forwarded-For` are believed and kept."""

    upstream_connections_max: int = 256
    """Connections to one service at a time; more calls wait for a free one."""

    upstream_waiting_max: int = 1024
    """Calls that wait for a connection to one service. Over: 503 at once."""

    upstream_idle_seconds_max: float = 4.0
    """Seconds an unused connection to a service is kept; below the 5 s after which common
    servers close, so that it is seldom they who close."""

    write_reuse_idle_seconds_max: float = 1.0
    """A write uses only a connection that was busy so recently (or a new one), since a write
    that meets a closing connection is in doubt and is never sent again."""

    connect_seconds_max: float = 3.0
    """Seconds to wait for a free connection and open one. Over: certainly not sent."""

    answer_seconds_max: float = 30.0
    """Seconds from the last byte of a request to the head of its answer. Over: 504."""

    answer_idle_seconds_max: float = 30.0
    """Seconds without progress while a body moves to or from a service. Over: cut."""

    answer_head_bytes_max: int = 64 * 1024
    """Bytes of the head of an answer; services set large cookies. Over: 502."""

    retry_after_seconds: int = 1
    """What callers are told to wait when the gateway is full."""

    stop_seconds_max: float = 10.0
    """Seconds that requests in flight get to finish when the gateway stops."""

    stop_linger_seconds: float = 0.5
    """Seconds that idle connections stay open during a stop, so that a request that is on its
    way is still answered (with `Connection: close`)."""
