"""Every failpoint of a package, read out of its code, so that no new one can be forgotten."""

import ast
from collections.abc import Iterator

from crossfade.model.side import Side
from tests.project_files import package_files


def failpoint_names(*packages: str) -> list[str]:
    """The names, in the order of the files; one that cannot be read is an error."""
    folders = tuple(f"src/crossfade/{package}/" for package in packages)
    return [
        name
        for file in package_files()
        if file.name.startswith(folders)
        for call in ast.walk(file.tree)
        if isinstance(call, ast.Call) and _is_failpoint(call)
        for name in _names_of(call.args[0])
    ]


def _is_failpoint(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "failpoint"


def _names_of(argument: ast.expr) -> Iterator[str]:
    """A plain text, or one that ends in the name of a side."""
    match argument:
        case ast.Constant(value=str(name)):
            yield name
        case ast.JoinedStr(
            values=[ast.Constant(value=str(start)), ast.FormattedValue(value=ast.Name(id="side"))]
        ):
            yield from (f"{start}{side}" for side in Side)
        case _:
            raise AssertionError(f"write the name of a failpoint out: {ast.unparse(argument)}")
