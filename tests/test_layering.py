"""Imports point one way, and third-party packages stay in the rooms that own them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import engine
from engine.kernels.compiling import compiled_from

ROOT = Path(engine.__file__).parent
# From the ground up; modules of one layer do not know each other.
LAYERS = [
    ["errors"],
    ["kernels"],
    ["plan", "error_model", "mrio"],
    ["question", "wording"],
    ["prepare"],
    ["draws", "twin"],
    ["split", "budget", "worlds"],
    ["stores"],
    ["blockwork"],
    ["jobs"],
    ["clusters"],
    ["analysis", "runs", "readers"],
    ["report", "fetch"],
    ["config"],
    ["workflow"],
    ["studies"],
    ["cli"],
]
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
OWNERS = {
    "fsspec": {"stores"},
    "dask": {"clusters"},
    "distributed": {"clusters"},
    "zarr": {"stores"},
    "xarray": {"stores", "analysis", "report", "workflow"},
    "pooch": {"fetch"},
    "requests": {"fetch"},
    "pymrio": {"readers"},
    "python_calamine": {"readers"},
    "pandas": {"readers"},
    "pydantic": {"config", "readers"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "click": {"cli"},
    "rich": {"cli"},
    "psutil": {"workflow", "stores"},
}
KERNELS_MAY = {"numpy", "scipy", "numba", "llvmlite"}


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> list[tuple[str, bool]]:
    """(module, whether it is imported inside a function) for each import of a file."""
    tree = ast.parse(path.read_text())
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "engine":
            found += [(f"engine.{alias.name}", id(node) in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.append((node.module or "", id(node) in inside))
    return found


def test_every_module_has_a_layer() -> None:
    rooms = {room(path) for path in ROOT.rglob("*.py")} - {"__init__"}
    assert rooms == set(LEVEL)


def test_imports_point_one_way() -> None:
    for path in ROOT.rglob("*.py"):
        here = room(path)
        if here == "__init__":
            continue
        for module, inside in imports(path):
            assert not inside, f"{path} imports {module} inside a function"
            top, _, rest = module.partition(".")
            if top == "engine":
                there = rest.partition(".")[0]
                assert there == here or LEVEL[there] < LEVEL[here], f"{path} imports {module}"
            assert here in OWNERS.get(top, {here}), f"{path} imports {module}"
            if here == "kernels" and top not in KERNELS_MAY | {"engine"}:
                assert top in sys.stdlib_module_names, f"{path} imports {module}"


def test_a_worker_loads_no_readers_and_no_plotting() -> None:
    script = "import engine.blockwork, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not {"pymrio", "matplotlib", "pydantic", "click", "distributed"} & set(
        done.stdout.split()
    )


def test_a_change_of_what_is_compiled_starts_a_new_cache(tmp_path: Path) -> None:
    compiling = "from engine.kernels.compiling import compiled\n"
    sources = {
        "loops.py": compiling + "from engine.kernels.maths import PI\n",
        "maths.py": "from engine.kernels.digits import DIGITS\n",
        "digits.py": "DIGITS = 3.14\n",
        "plain.py": "from engine.kernels.loops import loop\n",
    }
    for name, text in sources.items():
        (tmp_path / name).write_text(text)
    assert {path.stem for path in compiled_from(tmp_path)} == {"loops", "maths", "digits"}
    for path in compiled_from(ROOT / "kernels"):
        assert "from engine.kernels import" not in path.read_text(), f"{path}: name the module"
