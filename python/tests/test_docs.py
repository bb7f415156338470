"""Every snippet of docs/python.md."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import Project, require

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def test_every_snippet_runs(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch = require("torch")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    monkeypatch.chdir(project.root)
    (project.root / "pipelines").mkdir(exist_ok=True)
    names: dict[str, Any] = {}
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert [language for language, _ in blocks] == ["toml", "python", "python", "sh", "python", "python", "python"]
    for language, text in blocks:
        file = re.match(r"# (\w+/\S+)\n", text)
        if file:
            project.write(file[1], text)
        elif language == "sh":
            project.done(*text.split()[1:])
        else:
            exec(compile(text, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    assert "map.components" in printed and "(500, 3)" in printed and "torch.Size([64, 3, 16, 16])" in printed, printed
    assert names["result"].log == "3 of 16 components\n" and torch.is_tensor(names["pixels"])

    more = ["pipelines/map.toml", "classifier", "-S", "classifier.epochs=25"]
    project.done("run", *more)
    assert "continues after epoch 20" in project.done("log", *more)
