"""The tutorial's cells, one after another."""

import json
import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("mindspore")

QUICKSTART = Path(__file__).resolve().parents[2] / "examples" / "quickstart"


def test_the_tutorial_runs(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "quickstart"
    shutil.copytree(QUICKSTART, folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    cells = [cell for cell in json.loads((folder / "tutorial.ipynb").read_text())["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 8
    names = {}
    for number, cell in enumerate(cells):
        assert cell["outputs"] == [], "clear the outputs before you commit the notebook"
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    for module in ("train", "mindspore_net"):
        sys.modules.pop(module, None)
    assert "CK1201" in capsys.readouterr().out  # the misfit that the notebook shows
    assert names["parity"].equal and names["verdict"].ok and len(names["report"].tensors) == 55
    assert "rule" in names["migration"]._repr_html_()
