"""The project's own files, read once, for the tests that look at them as text or as syntax."""

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE_FOLDERS = ("src", "tests", "bench", "scripts", "examples")
TEXT_FOLDERS = (*SOURCE_FOLDERS, "docs", "requirements", ".ci")
TEXT_ENDINGS = {".css", ".html", ".js", ".json", ".md", ".py", ".sh", ".sql", ".toml", ".txt", ""}


@dataclass(frozen=True, slots=True)
class TextFile:
    """One file of the project: its path from the root, in posix form, and its text."""

    name: str
    text: str

    @property
    def lines(self) -> list[str]:
        """Its lines, without their ends."""
        return self.text.splitlines()


@dataclass(frozen=True, slots=True)
class PythonFile(TextFile):
    """A Python file and its syntax tree."""

    tree: ast.Module

    @property
    def module_parts(self) -> tuple[str, ...]:
        """`src/crossfade/model/side.py` as `("crossfade", "model", "side")`."""
        parts = Path(self.name).with_suffix("").parts
        return parts[1:] if parts[0] == "src" else parts


@functools.cache
def text_files() -> tuple[TextFile, ...]:
    """Every text file that is ours, in a fixed order."""
    return tuple(_read(path) for path in sorted(_paths()))


@functools.cache
def python_files() -> tuple[PythonFile, ...]:
    """Every Python file that is ours, parsed."""
    return tuple(
        PythonFile(file.name, file.text, ast.parse(file.text, filename=file.name))
        for file in text_files()
        if file.name.endswith(".py")
    )


def package_files() -> Iterator[PythonFile]:
    """The Python files of the package itself."""
    return (file for file in python_files() if file.name.startswith("src/"))


def _paths() -> Iterator[Path]:
    for path in ROOT.iterdir():
        if path.is_file() and _is_text(path):
            yield path
    for folder in TEXT_FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and _is_text(path):
                yield path


def _is_text(path: Path) -> bool:
    inside = path.relative_to(ROOT)
    hidden = any(part.startswith(".") and part != ".ci" for part in inside.parts)
    return not hidden and "__pycache__" not in inside.parts and path.suffix in TEXT_ENDINGS


def _read(path: Path) -> TextFile:
    return TextFile(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
