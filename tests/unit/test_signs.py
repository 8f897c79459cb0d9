"""What docstrings and comments say of the source is so: the files, the errors and the counts that they name."""

from __future__ import annotations

import ast
import builtins
import importlib
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from rushes.domain.job import Status
from rushes.providers.base import Provider

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "src" / "rushes"
SOURCES = sorted(PACKAGE.glob("**/*.py"))
PLACES = [ROOT, PACKAGE, *sorted(folder for folder in PACKAGE.glob("**/") if folder.name != "__pycache__")]

FILE = re.compile(r"(?<![\w/.*{])((?:[\w-]+/)*\w+\.py)\b")
RAISES = re.compile(r"\b[Rr]aises? ((?:`?[A-Z]\w+`?(?:, (?:or )?| or | and )?)+)")
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
COUNT = re.compile(
    r"\b(" + "|".join(NUMBERS[2:]) + r"|\d\d?) (?:\w+ )?"
    r"(verbs|states|surfaces|kinds|statements|files|calls|queries|words|parts|classes|modules|tables|scopes|adapters)\b"
)
ELSEWHERE = {
    "_gaos/types/interactions/error.py",
    "comfy_execution/jobs.py",
    "components/videogenerationrequest.py",
    "components/videogenerationresponse.py",
    "components/videomodel.py",
    "entrypoints/openai/api_server.py",
    "multimodal_gen/runtime/entrypoints/openai/video_api.py",
    "resources/tasks.py",
    "xai_sdk/video.py",
}
"""Files of other projects, which an adapter's docstring names as its source."""
FOREIGN = {"BadParameter"}
"""Errors of libraries."""
DRAWN = re.compile(r"^((?:│   |    )*)(?:├── |└── )(\w+)", re.MULTILINE)


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def docstrings(source: str) -> Iterator[str]:
    """Every docstring, also those of attributes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def comments(source: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def exists(path: str) -> bool:
    return any((place / path).exists() for place in PLACES)


def test_every_file_that_a_docstring_or_comment_names_exists() -> None:
    for path in SOURCES:
        source = path.read_text("utf-8")
        named = {file for text in (*docstrings(source), *comments(source)) for file in FILE.findall(text)}
        assert {file for file in named - ELSEWHERE if not exists(file)} == set(), name_of(path)


def test_every_error_that_a_docstring_names_exists() -> None:
    sources = {path: path.read_text("utf-8") for path in SOURCES}
    classes = {
        node.name
        for source in sources.values()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef)
    }
    for path, source in sources.items():
        raised = [names for text in docstrings(source) for names in RAISES.findall(text)]
        named = {word for names in raised for word in re.findall(r"[A-Z]\w+", names)}
        unknown = {word for word in named - classes - FOREIGN if not hasattr(builtins, word)}
        assert unknown == set(), name_of(path)


def drawn(module: ModuleType) -> list[tuple[int, str]]:
    """Depth and name of each class in the tree of a module's docstring."""
    found = DRAWN.findall(module.__doc__ or "")
    margin = min(len(indent) for indent, _ in found)
    return [(1 + (len(indent) - margin) // 4, name) for indent, name in found]


def defined(module: ModuleType, base: type[Exception], depth: int = 1) -> Iterator[tuple[int, str]]:
    """Depth and name of each class below `base`, in the order of the module."""
    for error in base.__subclasses__():
        if error.__module__ == module.__name__:
            yield depth, error.__name__
            yield from defined(module, error, depth + 1)


@pytest.mark.parametrize(("name", "base"), [("rushes.errors", "RushesError"), ("rushes.client.errors", "ClientError")])
def test_the_drawn_tree_of_errors_is_the_tree_of_classes(name: str, base: str) -> None:
    module = importlib.import_module(name)
    assert drawn(module) == list(defined(module, getattr(module, base)))
    assert len(drawn(module)) > 10


def verbs(*, required: bool) -> int:
    methods = [member for name, member in vars(Provider).items() if callable(member) and not name.startswith("_")]
    return sum(getattr(method, "__isabstractmethod__", False) is required for method in methods)


COUNTED: dict[tuple[str, str], Callable[[], int]] = {
    ("providers/base.py", "verbs"): lambda: verbs(required=True),
    ("domain/job.py", "words"): lambda: len(Status),
    # The caller's cancel and the worker's intent.
    ("jobs/store.py", "statements"): lambda: 2,
}
"""What each count in a docstring counts. A new count needs a row, so that it stays true."""


def test_every_count_in_a_docstring_is_right() -> None:
    for path in SOURCES:
        for text in docstrings(path.read_text("utf-8")):
            for number, thing in COUNT.findall(text):
                said = int(number) if number.isdecimal() else NUMBERS.index(number)
                assert said == COUNTED[name_of(path), thing](), f"{name_of(path)}: {number} {thing}"
