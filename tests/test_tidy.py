"""The size, the names and the first line of every file are as STYLE.md asks."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project_files import PythonFile, TextFile, package_files, python_files, text_files

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50

LONGER_FILES: dict[str, str] = {}
"""File -> why it may be longer."""

LONGER_FUNCTIONS: dict[str, str] = {}
"""`file:function` -> why it may be longer."""

DRAWER_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "core", "misc"}
"""A module of this name is a drawer: nobody can tell what is in it."""

WORDS_FOR_A_SIDE = {"candidate", "old", "primary", "source", "sync", "target"}
"""The sides are legacy and new; these words mean either of them, or neither."""

TERMS_WITH_SUCH_A_WORD = {"primary_key", "request_target"}
"""Terms of SQL and HTTP that are not about a side."""

WORDS_WITH_ANOTHER_MEANING = {
    "src/crossfade/gateway/": {"target": "the target of an HTTP request"},
}
"""File or folder -> a word that means something else there."""

ABBREVIATIONS = {
    "addr", "arg", "btn", "cb", "cfg", "cnt", "conf", "conn", "ctx", "cur", "curr", "db_conn",
    "dest", "dst", "elem", "err", "evt", "fn", "idx", "impl", "init_fn", "lst", "mgr",
    "msg", "num", "obj", "param", "prev", "proc", "ptr", "pwd", "qty", "req", "res", "resp",
    "ret", "src", "srv", "svc", "tbl", "tmp", "txn", "usr", "util", "val",
}  # fmt: skip
"""Write the word."""

ABBREVIATIONS_OF_OTHERS = {
    "src/crossfade/demo/": "the demo's services have column names of their own",
}

WRITTEN_AS_BY_A_USER = {"src/crossfade/demo/migration.py"}
"""Files that show what a user writes, and so import what a user imports."""

SIZED_ENDINGS = {".py", ".sql", ""}
OPEN_WORK = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))")
PATH_OUTSIDE = re.compile(r"(?<![\w.~}/:-])/(home|mnt|opt|root|srv|Users|workspace|work)/\w")


def test_no_file_is_too_long() -> None:
    """A file can be read in one go."""
    too_long = [
        f"{file.name} has {len(file.lines)} lines"
        for file in text_files()
        if Path(file.name).suffix in SIZED_ENDINGS
        and len(file.lines) > FILE_LINES_MAX
        and file.name not in LONGER_FILES
    ]

    assert too_long == []


def test_no_function_is_too_long() -> None:
    """A function fits on a screen, its signature and docstring included."""
    too_long = [
        f"{name} has {lines} lines"
        for file in python_files()
        for name, lines in _function_lengths(file)
        if lines > FUNCTION_LINES_MAX and name not in LONGER_FUNCTIONS
    ]

    assert too_long == []


def test_exceptions_are_still_needed() -> None:
    """An exception that no longer excuses anything is removed."""
    lengths = {file.name: len(file.lines) for file in text_files()}
    functions = dict(pair for file in python_files() for pair in _function_lengths(file))
    stale = [name for name in LONGER_FILES if lengths.get(name, 0) <= FILE_LINES_MAX]
    stale += [name for name in LONGER_FUNCTIONS if functions.get(name, 0) <= FUNCTION_LINES_MAX]

    assert stale == []


def test_no_module_is_a_drawer() -> None:
    """A module is named after what it holds."""
    drawers = [
        file.name for file in python_files() if DRAWER_NAMES.intersection(file.module_parts)
    ]

    assert drawers == []


def test_names_use_our_words() -> None:
    """One word, one meaning: no other word for a side in any name of the package."""
    wrong = [
        f"{file.name}:{line} {name}"
        for file in package_files()
        for name, line in _names(file)
        if _words_for_a_side(file).intersection(_words(_without_terms(name)))
    ]

    assert wrong == []


def test_names_are_written_out() -> None:
    """No abbreviations in any name of the package."""
    wrong = [
        f"{file.name}:{line} {name}"
        for file in package_files()
        for name, line in _names(file)
        if ABBREVIATIONS.intersection(_words(name))
        and not file.name.startswith(tuple(ABBREVIATIONS_OF_OTHERS))
    ]

    assert wrong == []


def test_every_file_opens_with_what_it_is_for() -> None:
    """The first line of a Python file is one sentence, that of a query file a comment."""
    silent = [file.name for file in python_files() if not _opens_with_a_sentence(file)]
    silent += [
        file.name
        for file in text_files()
        if file.name.endswith(".sql") and not file.text.startswith("-- ")
    ]

    assert silent == []


def test_the_inside_names_the_owner_of_a_name() -> None:
    """Inside the package nothing is imported from the package's root."""
    through_root = [
        f"{file.name}:{node.lineno}"
        for file in package_files()
        if file.name not in WRITTEN_AS_BY_A_USER
        for node in ast.walk(file.tree)
        if isinstance(node, ast.ImportFrom) and (node.module == "crossfade" or node.level > 0)
    ]

    assert through_root == []


def test_every_test_is_a_sentence() -> None:
    """Each test says in its docstring what holds."""
    silent = [
        f"{file.name}:{node.lineno} {node.name}"
        for file in python_files()
        if file.name.startswith("tests/")
        for node in ast.walk(file.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]

    assert silent == []


def test_schema_files_say_pre_or_post() -> None:
    """A schema file says whether it runs before or after the code upgrade."""
    wrong = [
        file.name
        for file in text_files()
        if "/schema/" in file.name
        and file.name.startswith("src/")
        and file.name.endswith(".sql")
        and not re.fullmatch(r"\d{4}_(pre|post)_[a-z0-9_]+\.sql", Path(file.name).name)
    ]

    assert wrong == []


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        pytest.param("open work without an issue", OPEN_WORK, id="open-work"),
        pytest.param("a path outside the project", PATH_OUTSIDE, id="outside-path"),
    ],
)
def test_no_line_holds(what: str, pattern: re.Pattern[str]) -> None:
    """Nothing in the project leans on one machine or on unfinished work nobody knows of."""
    found = [
        f"{file.name}:{number} holds {what}: {line.strip()}"
        for file in _our_texts()
        for number, line in enumerate(file.lines, start=1)
        if pattern.search(line)
    ]

    assert found == []


def _our_texts() -> Iterator[TextFile]:
    return (file for file in text_files() if file.name not in {"LICENSE", "tests/test_tidy.py"})


def _function_lengths(file: PythonFile) -> Iterator[tuple[str, int]]:
    for node in ast.walk(file.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield f"{file.name}:{node.name}", lines


def _opens_with_a_sentence(file: PythonFile) -> bool:
    docstring = ast.get_docstring(file.tree)
    if docstring is None:
        return False
    return docstring.splitlines()[0].endswith((".", "?", "!"))


def _names(file: PythonFile) -> Iterator[tuple[str, int]]:
    """Every name that a file defines: modules, classes, functions, arguments, variables."""
    yield file.module_parts[-1], 1
    for node in ast.walk(file.tree):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name, node.lineno
            case ast.arg():
                yield node.arg, node.lineno
            case ast.Name(ctx=ast.Store()):
                yield node.id, node.lineno
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr, node.lineno


def _words_for_a_side(file: PythonFile) -> set[str]:
    allowed: set[str] = set()
    for name, words in WORDS_WITH_ANOTHER_MEANING.items():
        if file.name.startswith(name):
            allowed |= words.keys()
    return WORDS_FOR_A_SIDE - allowed


def _without_terms(name: str) -> str:
    for term in TERMS_WITH_SUCH_A_WORD:
        name = name.replace(term, "")
    return name


def _words(name: str) -> set[str]:
    """`MirrorFailed` and `mirror_failed` as {"mirror", "failed"}."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return set(spaced.lower().split("_"))
