"""The documentation names everything there is, and only that."""

import ast
import dataclasses
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from crossfade import errors
from crossfade.observability import events
from tests.command_tree import command_line, command_names
from tests.project_files import ROOT, TextFile, package_files, text_files

BLOCK = re.compile(r"^```(?P<language>[\w-]*)[^\n]*\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\((?P<place>[^)\s]+)\)|!\[[^\]\n]*\]\((?P<image>[^)\s]+)\)")
HEADING = re.compile(r"^#+\s+(?P<title>.+?)\s*$", re.MULTILINE)
MENTIONED_PAGE = re.compile(r"\b[A-Z][A-Z_]{3,}\.md\b")
TARGET = re.compile(r"^(?P<name>[a-z]+):", re.MULTILINE)
SHELL_LANGUAGES = {"bash", "console", "sh", "shell"}

PAGES = tuple(file for file in text_files() if file.name.endswith(".md"))
REFERENCE = "\n".join(page.text for page in PAGES if page.name.startswith("docs/reference/"))


def test_every_command_is_documented() -> None:
    """The reference names each command in full, as it is typed."""
    app = command_line()
    names = list(command_names(app)) if app else []
    undocumented = [name for name in names if not re.search(rf"\b{name}\b", REFERENCE)]

    assert undocumented == []


def test_every_event_is_documented() -> None:
    """The reference names each event and each of its fields."""
    undocumented = [
        name for name in _event_names() if not re.search(rf"`{re.escape(name)}`", REFERENCE)
    ]

    assert undocumented == []


def test_every_error_is_documented() -> None:
    """The reference names each error that we raise on purpose."""
    names = [
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.CrossfadeError)
    ]

    assert [name for name in names if f"`{name}`" not in REFERENCE] == []


def test_every_option_is_documented() -> None:
    """The reference names each field of each options class."""
    undocumented = [
        f"{owner}.{option}"
        for owner, option in _options()
        if not re.search(rf"`(\w+\.)*{option}`", REFERENCE)
    ]

    assert undocumented == []


def test_the_written_reference_is_current() -> None:
    """The pages made from docstrings say what the docstrings say (`scripts/docs --write`)."""
    checked = subprocess.run(
        [sys.executable, "-m", "scripts.write_reference", "--check"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert (checked.returncode, checked.stdout) == (0, "")


def test_every_link_inside_the_project_leads_somewhere() -> None:
    """A relative link names a file that exists, and a heading that it has."""
    broken = [
        f"{page.name}: {place}"
        for page in PAGES
        for place in _links(page)
        if not _leads_somewhere(page, place)
    ]

    assert broken == []


def test_every_page_that_is_named_exists() -> None:
    """A page that code or documentation names is in the project."""
    known = {page.name.rpartition("/")[2] for page in PAGES}
    missing = [
        f"{file.name}: {name}"
        for file in text_files()
        for name in sorted(set(MENTIONED_PAGE.findall(file.text)) - known)
    ]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_compile(page: TextFile) -> None:
    """What a page shows as Python is Python."""
    for number, block in enumerate(_blocks(page, {"python"}), start=1):
        ast.parse(block, filename=f"{page.name}, block {number}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_shown_commands_exist(page: TextFile) -> None:
    """What a page tells to type is a target of the Makefile, a script or a command of ours."""
    unknown = [
        line
        for block in _blocks(page, SHELL_LANGUAGES)
        for line in _typed_lines(block)
        if not _can_be_typed(line)
    ]

    assert unknown == []


def _event_names() -> Iterator[str]:
    for name, value in vars(events).items():
        if not inspect.isclass(value) or not issubclass(value, events.Event):
            continue
        if value is not events.Event:
            yield name
            yield from (field.name for field in dataclasses.fields(value))


def _options() -> Iterator[tuple[str, str]]:
    """(class, field) of every class of options, found without importing anything."""
    for file in package_files():
        for node in ast.walk(file.tree):
            if not isinstance(node, ast.ClassDef) or not node.name.endswith("Options"):
                continue
            for part in node.body:
                if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                    yield node.name, part.target.id


def _links(page: TextFile) -> Iterator[str]:
    """Links that stay inside the project; code blocks hold none."""
    for link in LINK.finditer(BLOCK.sub("", page.text)):
        place = link["place"] or link["image"]
        if "://" not in place and not place.startswith("mailto:"):
            yield place


def _leads_somewhere(page: TextFile, place: str) -> bool:
    name, _, anchor = place.partition("#")
    path = (ROOT / page.name).parent / name if name else ROOT / page.name
    if not path.resolve().is_relative_to(ROOT) or not path.exists():
        return False
    if not anchor or path.suffix != ".md":
        return True
    titles = [match["title"] for match in HEADING.finditer(path.read_text(encoding="utf-8"))]
    return anchor in {_anchor(title) for title in titles}


def _anchor(title: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", title.lower())
    return kept.replace(" ", "-")


def _blocks(page: TextFile, languages: set[str]) -> Iterator[str]:
    return (match["text"] for match in BLOCK.finditer(page.text) if match["language"] in languages)


def _typed_lines(block: str) -> Iterator[str]:
    """The lines of a block that a reader types: after a prompt, where there is one."""
    lines = [line.strip() for line in block.splitlines()]
    prompted = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return (part.strip() for line in prompted or lines for part in line.split("&&"))


def _can_be_typed(line: str) -> bool:
    words = line.partition("#")[0].split()
    words = [word for word in words if not re.fullmatch(r"[A-Z_]+=\S*", word)]
    match words:
        case ["make", *names]:
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            known = {found["name"] for found in TARGET.finditer(makefile)}
            return set(names) <= known
        case [program, *rest] if program.rpartition("/")[2] == "crossfade":
            return _is_command(rest)
        case [program, *_] if program.startswith(("scripts/", ".ci/")):
            return (ROOT / program).is_file()
    return True


def _is_command(words: list[str]) -> bool:
    """The words up to the first option name a command; without any, `crossfade` itself."""
    app = command_line()
    if app is None:
        return False
    known = set(command_names(app))
    name = "crossfade"
    for word in words:
        if not re.fullmatch(r"[a-z][a-z-]*", word):
            return name in known or name == "crossfade"
        if f"{name} {word}" not in known:
            return name in known
        name = f"{name} {word}"
    return True
