"""What a mapping is, as text that changes when its own code does."""

from collections.abc import Callable
from hashlib import blake2b
from types import CodeType


def mapping_identity(mapping: Callable[..., object]) -> str:
    """A text for the mapping, equal in every process that runs the same code.

    What a mapping calls is no part of it: who changes that must change the entity's version.
    """
    code = getattr(mapping, "__code__", None)
    name = f"{getattr(mapping, '__module__', '')}.{getattr(mapping, '__qualname__', '')}"
    if not isinstance(code, CodeType):
        return name
    return f"{name}:{blake2b(_code_text(code).encode(), digest_size=16).hexdigest()}"


def _code_text(code: CodeType) -> str:
    constants = [_constant_text(one) for one in code.co_consts]
    return repr((code.co_code, code.co_names, code.co_varnames, constants))


def _constant_text(value: object) -> str:
    if isinstance(value, CodeType):
        return _code_text(value)
    if isinstance(value, frozenset):
        # Its order is another one in every process.
        return repr(sorted(_constant_text(one) for one in value))
    if isinstance(value, tuple):
        return repr([_constant_text(one) for one in value])
    return repr(value)
