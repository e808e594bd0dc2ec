"""Figures of the house: how much code there is, and how often it goes round the rules. From the syntax tree alone.

python tools/house_figures.py                 # the working tree
python tools/house_figures.py --rev f81ef24   # any revision, beside it
python tools/house_figures.py --list          # and where: comparisons and small modules
"""

from __future__ import annotations

import argparse
import ast
import io
import subprocess
import tarfile
import tempfile
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LEVELS = frozenset({"sealed", "encrypted", "obfuscated"})
_SMALL = 60
_NO_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING,
    tokenize.ENDMARKER,
}  # fmt: skip
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_PACKAGE = "medveil"


@dataclass(frozen=True)
class Figures:
    """What is counted of one tree.

    Attributes:
        code_lines: of src: lines with a token that is neither a comment nor of a docstring.
        comparisons: of protection levels in src, as file:line.
        benchmark_lines: all lines of the Python files under benchmarks/.
        small_modules: of src but for cli, under 60 lines and imported by one sibling only; as file (importer).
    """

    code_lines: int
    comparisons: tuple[str, ...]
    benchmark_lines: int
    small_modules: tuple[str, ...]


def figures_of(root: Path) -> Figures:
    """Count a tree that has src/ and may have benchmarks/."""
    texts = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in root.glob("src/**/*.py")}
    trees = {name: ast.parse(text) for name, text in sorted(texts.items())}
    benchmarks = (path.read_text(encoding="utf-8") for path in root.glob("benchmarks/**/*.py"))
    return Figures(
        sum(len(code_lines(texts[name], tree)) for name, tree in trees.items()),
        tuple(f"{name}:{line}" for name, tree in trees.items() for line in level_comparisons(tree)),
        sum(text.count("\n") for text in benchmarks),
        tuple(_small_modules(texts, trees)),
    )


def code_lines(text: str, tree: ast.Module) -> set[int]:
    """Numbers of the lines that hold code; a string of many lines is as many."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            found.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        if isinstance(node, _WITH_DOCSTRING) and ast.get_docstring(node, clean=False) is not None:
            first = node.body[0]
            found.difference_update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return found


def level_comparisons(tree: ast.Module) -> list[int]:
    """Lines on which something is compared with the name of a protection level.

    A constant of the module, or a member of an enum, that stands for one such name is one too; so is a case of `match`.
    """
    named = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and node.value.value in _LEVELS
        for target in node.targets
        if isinstance(target, ast.Name) and target.id.strip("_").isupper()
    } | {level.upper() for level in _LEVELS}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            if any(_is_level(side, named) for side in (node.left, *node.comparators)):
                found.append(node.lineno)
        elif isinstance(node, ast.MatchValue) and _is_level(node.value, named):
            found.append(node.lineno)
    return sorted(found)


def _is_level(node: ast.expr, named: set[str] | frozenset[str] = frozenset()) -> bool:
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(_is_level(each, named) for each in node.elts)
    if isinstance(node, ast.Attribute):
        return node.attr in named
    if isinstance(node, ast.Name):
        return node.id in named
    return isinstance(node, ast.Constant) and node.value in _LEVELS


def _small_modules(texts: Mapping[str, str], trees: Mapping[str, ast.Module]) -> Iterator[str]:
    modules = {_module(name): name for name in trees}
    importers: dict[str, set[str]] = {module: set() for module in modules}
    for importer, name in modules.items():
        for imported in _imports(trees[name], modules):
            importers[imported].add(importer)
    for module, name in modules.items():
        room = module.rpartition(".")[0]
        if name.endswith("__init__.py") or room.startswith(f"{_PACKAGE}.cli") or texts[name].count("\n") >= _SMALL:
            continue
        if len(importers[module]) == 1:
            (importer,) = importers[module]
            if importer.rpartition(".")[0] == room:
                yield f"{name} ({importer})"


def _imports(tree: ast.Module, modules: Mapping[str, str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in (node.module, *inner) if name in modules)


def _module(name: str) -> str:
    return name.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _of_revision(revision: str) -> Figures:
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(["git", "archive", revision, "src", "benchmarks"], cwd=root, check=True, capture_output=True)
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
        return figures_of(Path(folder))


def _table(columns: Sequence[tuple[str, Figures]]) -> str:
    rows = {
        "code lines of src": [f"{each.code_lines:,}" for _, each in columns],
        "comparisons of protection levels in src": [str(len(each.comparisons)) for _, each in columns],
        "lines of benchmarks/**/*.py": [f"{each.benchmark_lines:,}" for _, each in columns],
        "modules under 60 lines that one sibling imports": [str(len(each.small_modules)) for _, each in columns],
    }
    head = f"| | {' | '.join(name for name, _ in columns)} |\n|---|{'---|' * len(columns)}"
    return "\n".join([head, *(f"| {name} | {' | '.join(values)} |" for name, values in rows.items())])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rev", action="append", default=[], help="a git revision, instead of the working tree")
    parser.add_argument("--list", action="store_true", help="also say where")
    asked = parser.parse_args()
    columns = [(revision, _of_revision(revision)) for revision in asked.rev]
    if not columns:
        columns = [("working tree", figures_of(Path(__file__).resolve().parents[1]))]
    print(_table(columns))
    if asked.list:
        for name, each in columns:
            print(f"\n{name}: comparisons", *each.comparisons, sep="\n  ")
            print(f"\n{name}: small modules", *each.small_modules, sep="\n  ")


if __name__ == "__main__":
    main()
