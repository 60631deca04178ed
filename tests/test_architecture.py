"""Imports go one way, and importing allbps stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import allbps

ROOT = Path(allbps.__file__).parent
FLOORS = [
    {"errors", "exits"},
    {"tree", "files", "extras", "sheet"},
    {"optim", "weights"},
    {"mathematics"},
    {"ir"},
    {"ops"},
    {"random"},
    {"numpy_api", "names", "backprop", "outside", "noise"},
    {"functional", "declared", "settling"},
    {"scipy"},
    {"trace", "transforms"},
    {"backward"},
    {"distributed"},
    {"readings"},
    {"verify"},
    {"machine"},
    {"page"},
    {"worked", "formula", "outgoing"},
    {"torch", "jax", "onnx"},
    {"userfile", "judged"},
    {"handin", "notebook"},
    {"nn", "data"},
    {"train", "lecture", "sklearn"},
    {"bench", "serve"},
    {"commands"},
    {"cli", "demo"},
    {"__main__"},
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def room_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(file: Path) -> set[str]:
    """Rooms that a file imports anywhere, except under TYPE_CHECKING."""
    tree = ast.parse(file.read_text())
    skipped = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    names = []
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    parts = [name.split(".") for name in names if name.split(".")[0] == "allbps"]
    return {part[1] for part in parts if len(part) > 1 and part[1] in FLOOR_OF}


FILES = [f for f in sorted(ROOT.rglob("*.py")) if f != ROOT / "__init__.py"]


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_a_room_imports_only_from_lower_floors(file):
    room = room_of(file)
    assert room in FLOOR_OF, f"{room} stands on no floor: add it to FLOORS"
    too_high = {r for r in imported_rooms(file) if r != room and FLOOR_OF[r] >= FLOOR_OF[room]}
    assert not too_high, f"{file.name} ({room}) imports from {too_high}"


MACHINE = ["language", "kernels", "planning", "works", "execution"]


def test_inside_the_machine_imports_go_one_way_too():
    """A file beside the folders may import from all of them, and none of them from it."""
    for file in sorted((ROOT / "machine").rglob("*.py")):
        inside = file.relative_to(ROOT / "machine").parts
        below = MACHINE[: MACHINE.index(inside[0]) + 1] if len(inside) > 1 else None
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and below is not None:
                assert not node.level, f"{file} imports relatively"
                module = (node.module or "").split(".")
                if module[:2] == ["allbps", "machine"]:
                    assert module[2] in below, f"{file} imports {node.module}"


def test_no_reading_imports_another():
    readings = {"derivation", "source", "picture"}
    for name in readings:
        text = (ROOT / "readings" / f"{name}.py").read_text()
        for other in readings - {name}:
            assert f"allbps.readings.{other} " not in text, f"{name} imports {other}"


# verify asks PyTorch whether we are right, bench races against it, torch is the bridge to it,
# distributed lets it talk
TORCH = {"verify", "bench", "torch", "distributed"}


def test_only_the_rooms_that_need_torch_import_it_and_only_the_machine_imports_llvmlite():
    for file in FILES:
        room = room_of(file)
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            tops = {name.split(".")[0] for name in names}
            assert room in TORCH or "torch" not in tops, file
            assert room == "machine" or "llvmlite" not in tops, file


def test_bench_imports_a_peer_only_in_the_files_that_are_loaded_for_it():
    peers = {"torch", "jax", "sklearn", "autograd", "mygrad", "tinygrad", "micrograd"}
    for file in (ROOT / "bench").glob("*.py"):
        tops = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(file.read_text()))
            for name in (
                [node.module or ""] if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            )
        }  # fmt: skip
        if not file.name.startswith(("by_", "torch_", "jax_")):
            assert not tops & peers, file


def test_importing_allbps_loads_no_heavy_library():
    code = (
        "import sys, allbps, allbps.functional\n"
        "heavy = {'torch', 'llvmlite', 'jax', 'matplotlib', 'sklearn', 'scipy', 'rich',"
        " 'typer', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_and_rooms_are_there_when_they_are_asked_for():
    code = (
        "import sys, allbps as bp\n"
        "assert 'numpy' not in sys.modules\n"
        "assert bp.functional.relu(-1.0) == 0.0\n"
        "assert issubclass(bp.errors.ShapeError, ValueError)\n"
        "assert {*bp.__all__} <= {*dir(bp)}\n"
        "for name in bp.__all__: getattr(bp, name)\n"
        "assert not hasattr(bp, 'gradient') and not hasattr(bp, '__wrapped__')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
