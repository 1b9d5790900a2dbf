"""The API in a real notebook: a kernel of its own, cells, and what they show."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from commands import ROOT
from pictures import write_jpegs


def outputs(*cells: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """Run cells in a fresh kernel; return the outputs of each."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}}).execute()
    return [cell.outputs for cell in notebook.cells]


def test_a_notebook_shows_progress_lines_and_pictures(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jpegs(tmp_path, "disc", 3, start=700)
    _, shown, silent, drawn = outputs(
        f"import retrain\nmodel = retrain.load({str(trained)!r})",
        "model.sort('disc', 'sorted').counts",
        "model.sort('disc', 'silent', progress=False).counts",
        "model.explain('disc/disc-700.jpg')",
        folder=tmp_path,
        monkeypatch=monkeypatch,
    )
    bars = [one for one in shown if one.output_type == "display_data"]
    assert [bar.data["text/plain"] for bar in bars] == [""]  # it has vanished
    assert shown[-1].data["text/plain"] == "{'disc': 3}"
    assert [one.output_type for one in silent] == ["execute_result"]
    assert "image/png" in drawn[-1].data
