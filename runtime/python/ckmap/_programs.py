"""The programs ``ckmap`` and ``ckmapc``, as the wheel carries them."""

import os
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def _run(name: str) -> None:
    os.environ.setdefault("CKMAP_PACKS", str(FOLDER / "packs"))
    program = str(FOLDER / "bin" / name)
    os.execv(program, [program, *sys.argv[1:]])


def ckmap() -> None:
    _run("ckmap")


def ckmapc() -> None:
    _run("ckmapc")
