"""Write docs/reference from the docstrings of commands, events, errors and options."""

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.command_tree import command_line
from tests.project_files import ROOT

PACKAGE = ROOT / "src" / "crossfade"
REFERENCE = ROOT / "docs" / "reference"
COMPLETION = "--install-completion"
"""The one command that is an option; its section has no address that a link can name."""
WRITTEN = "<!-- Written by `scripts/docs --write` from the docstrings; edit those. -->"


def events_page() -> str:
    """Every event with its fields."""
    parts = [
        "# Events",
        "",
        WRITTEN,
        "",
        "What happened, told to whoever listens. Names and fields are API: they change only with",
        "a line in the changelog. No field holds the content of a record.",
    ]
    for node in _classes(PACKAGE / "observability" / "events.py"):
        if any(ast.unparse(base) != "Protocol" for base in node.bases):
            parts += ["", f"## `{node.name}`", "", _prose(node), *_fields_table(node)]
    return "\n".join(parts) + "\n"


def errors_page() -> str:
    """Every error with what it is a kind of and the exit code of a command that it ends."""
    nodes = {node.name: node for node in _classes(PACKAGE / "errors.py")}
    parts = [
        "# Errors",
        "",
        WRITTEN,
        "",
        "Every error that crossfade raises on purpose. A message is one line: what happened, why,",
        "and what to do. A command that ends with one exits with its code.",
        "",
        "| error | kind of | exit code | meaning |",
        "|---|---|---|---|",
    ]
    for name, node in nodes.items():
        kind = ", ".join(f"`{ast.unparse(base)}`" for base in node.bases)
        parts.append(f"| `{name}` | {kind} | {_exit_code(node, nodes)} | {_cell(_prose(node))} |")
    return "\n".join(parts) + "\n"


def options_page() -> str:
    """Every option with its default and its reason."""
    parts = ["# Options", "", WRITTEN, "", "Every limit and choice, with its default."]
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in _classes(path):
            if node.name.endswith("Options"):
                parts += ["", f"## `{node.name}`", "", _prose(node), *_fields_table(node)]
    return "\n".join(parts) + "\n"


def commands_page() -> str:
    """Every command as its help tells it; nothing while there is no command line."""
    app = command_line()
    if app is None:
        return ""
    help_text = app.generate_docs(heading_level=1)
    title, _, rest = help_text.partition("\n")
    kept = _without_section(rest.splitlines(), f"## crossfade {COMPLETION}")
    lines = [line.rstrip() for line in kept if f"[`{COMPLETION}`]" not in line]
    text = "\n".join([title, "", WRITTEN, *lines]).rstrip() + "\n"
    return text.replace("\n**Commands**:\n\n\n", "\n")


PAGES = {
    "commands.md": commands_page,
    "errors.md": errors_page,
    "events.md": events_page,
    "options.md": options_page,
}


def main() -> int:
    """Write the pages that differ; with `--check` only name them, and fail if there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, fail if stale")
    only_check = parser.parse_args().check
    stale = [
        (REFERENCE / name, text)
        for name, text in ((name, page()) for name, page in PAGES.items())
        if _text_of(REFERENCE / name) != text
    ]
    for path, text in stale:
        print(f"{'stale' if only_check else 'wrote'}: {path.relative_to(ROOT)}")
        if not only_check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 1 if only_check and stale else 0


def _without_section(lines: list[str], heading: str) -> Iterator[str]:
    """The lines without a section and everything below its heading."""
    level = heading.partition(" ")[0]
    inside = False
    for line in lines:
        if line == heading:
            inside = True
        elif line.startswith(f"{level} "):
            inside = False
        if not inside:
            yield line


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _classes(path: Path) -> Iterator[ast.ClassDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return (
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )


def _prose(node: ast.ClassDef) -> str:
    return ast.get_docstring(node) or ""


def _fields_table(node: ast.ClassDef) -> Iterator[str]:
    """Rows of field, type, default where there is any, and meaning."""
    fields = list(_fields(node))
    if not fields:
        return
    has_defaults = any(default for _, _, default, _ in fields)
    columns = ["field", "type", *(["default"] if has_defaults else []), "meaning"]
    yield ""
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for name, kind, default, meaning in fields:
        cells = [f"`{name}`", f"`{kind}`"]
        if has_defaults:
            cells.append(f"`{default}`" if default else "")
        yield f"| {' | '.join(_cell(cell) for cell in [*cells, meaning])} |"


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, str, str, str]]:
    """(name, type, default, meaning) of each field; the meaning is the text below it."""
    for part, following in zip(node.body, [*node.body[1:], ast.Pass()], strict=True):
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            default = ast.unparse(part.value) if part.value else ""
            kind = ast.unparse(part.annotation)
            yield part.target.id, kind, default, _text_below(following)


def _text_below(node: ast.stmt) -> str:
    match node:
        case ast.Expr(value=ast.Constant(value=str() as text)):
            return text
    return ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _exit_code(node: ast.ClassDef, nodes: dict[str, ast.ClassDef]) -> str:
    for part in node.body:
        match part:
            case ast.Assign(targets=[ast.Name(id="exit_code")], value=ast.Constant(value=code)):
                return str(code)
    parents = [nodes[ast.unparse(base)] for base in node.bases if ast.unparse(base) in nodes]
    return _exit_code(parents[0], nodes) if parents else ""


if __name__ == "__main__":
    sys.exit(main())
