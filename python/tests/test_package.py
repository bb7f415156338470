"""The package as it is installed: its files and its types."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import files, requires
from pathlib import Path

import strata_lab as strata
from strata_lab import _binary

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_the_package_and_the_binary_and_nothing_else() -> None:
    installed = [str(file) for file in files("strata-lab") or [] if "__pycache__" not in str(file)]
    modules = {f"strata_lab/{path.name}" for path in (ROOT / "python" / "strata_lab").iterdir() if path.is_file()}
    others = {file for file in installed if ".dist-info/" not in file} - modules
    assert modules <= set(installed) and [Path(file).name for file in others] == ["strata"], others
    assert [requirement for requirement in requires("strata-lab") or [] if "extra" not in requirement] == [
        "numpy>=1.22",
        "safetensors>=0.4.2",
    ]


def test_the_wheel_names_no_path_of_the_machine_that_built_it() -> None:
    for file in files("strata-lab") or []:
        path = Path(str(file.locate()))
        # The binary is looked through before a release: a build for tests need not hide its paths.
        if ".dist-info" in str(file) and path.name not in ("RECORD", "direct_url.json"):
            text = path.read_text()
            assert str(ROOT) not in text and str(Path.home()) + "/" not in text, path


def test_the_binary_is_that_of_the_wheel() -> None:
    assert _binary.find().parent == Path(sys.executable).parent
    ran = subprocess.run([_binary.find(), "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["strata", strata.__version__]


def test_importing_it_imports_neither_pytorch_nor_pandas() -> None:
    check = "import sys, strata_lab; print([name for name in ('torch', 'pandas') if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_types_are_right_and_reach_those_who_use_it(tmp_path: Path) -> None:
    mypy = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache")]
    ran = subprocess.run(mypy, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    program = tmp_path / "program.py"
    program.write_text(
        "import strata_lab as strata\n"
        "with strata.stage() as stage:\n"
        "    reveal_type(stage.params)\n"
        "    stage.outputs['x'] = 1\n"
    )
    ran = subprocess.run([*mypy, str(program)], cwd=tmp_path, capture_output=True, text=True)
    assert 'Revealed type is "dict[str, Any]"' in ran.stdout.replace("builtins.", "").replace("typing.", "").replace(
        "-dict", "dict"
    ), ran.stdout
    assert 'Incompatible types in assignment (expression has type "int"' in ran.stdout
