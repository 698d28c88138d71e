"""What was installed: its size, what its libraries export and need, what an import brings along."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ckmap

FOLDER = Path(ckmap.__file__).parent
LIBRARIES = sorted(FOLDER.glob("*.so"))


def table(*command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def test_sizes():
    """The code stands in the wheel once: the modules and the programs are small beside the library that they share."""
    sizes = {path.relative_to(FOLDER): path.stat().st_size for path in [*LIBRARIES, *(FOLDER / "bin").iterdir()]}
    assert sum(sizes.values()) < 15_000_000, sizes
    assert sum(size for path, size in sizes.items() if path.name != "libckmap.so") < 2_500_000, sizes


def test_modules_export_their_entry_alone():
    for name in ("_runtime", "_compiler"):
        [module] = [path for path in LIBRARIES if path.name.startswith(name)]
        exported = [line.split()[-1] for line in table("nm", "-D", "--defined-only", module).splitlines()]
        assert exported == [f"PyInit_{name}"]


def test_the_library_exports_the_public_headers_alone():
    exported = table("nm", "-D", "-C", "--defined-only", FOLDER / "libckmap.so").splitlines()
    names = [line.split(" ", 2)[2] for line in exported]
    assert names
    wrong = [name for name in names if not re.match(r"(typeinfo (name )?for )?ckmap::(v1::|RunCkmapc?\()", name)]
    assert wrong == []


def test_an_import_brings_nothing_along():
    """What takes long to import is imported when it is needed."""

    def imported(code):
        program = f"import sys; before = set(sys.modules); {code}; print(*sorted(set(sys.modules) - before))"
        return set(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split())

    alone = imported("import ckmap")
    assert "ckmap" in alone and not {name for name in alone if name.startswith("ckmap.")}
    used = imported("import ckmap; ckmap.open")
    assert "ckmap._api" in used and not used & {"asyncio", "torch", "mindspore", "tqdm"}
