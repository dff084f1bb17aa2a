"""``rlnet.Run``: the rows and tables of a finished run as data frames."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any, Literal

Library = Literal["polars", "pandas"]


class Run:
    """A run's folder, as ``rlnet run`` and ``rlnet eval`` write it.

    >>> run = rlnet.Run("out/mine")                     # doctest: +SKIP
    >>> run.outcomes().group_by("model", "branch", "condition").len()        # doctest: +SKIP
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        plan = self.folder / "plan.json"
        if not plan.is_file():
            raise FileNotFoundError(f"{self.folder} is no run: it has no plan.json")
        #: The resolved plan: every cell with its settings.
        self.plan: dict[str, Any] = json.loads(plan.read_text())

    def __repr__(self) -> str:
        return f"rlnet.Run({str(self.folder)!r})"

    @property
    def page(self) -> Path:
        """The report, to be opened in a browser."""
        return self.folder / "report" / "index.html"

    @property
    def tables(self) -> list[str]:
        """Names of the tables of the report."""
        return sorted(file.stem for file in (self.folder / "report" / "tables").glob("*.csv"))

    def table(self, name: str = "main", library: Library = "polars") -> Any:
        """A table of the report as a data frame."""
        file = self.folder / "report" / "tables" / f"{name}.csv"
        if not file.is_file():
            raise KeyError(f"{self.folder} has no table {name!r}; it has: {', '.join(self.tables) or 'none'}")
        return importlib.import_module(library).read_csv(file)

    def outcomes(self, library: Library = "polars") -> Any:
        """One row per model, branch, condition and image: label, prediction, margin, loss, distance, passes."""
        frames = importlib.import_module(library)
        parts = []
        for cell in self.plan["cells"]:
            file = self.folder / "cells" / cell["id"] / "outcomes.parquet"
            if not file.is_file():
                continue
            part = frames.read_parquet(file)
            columns = {"model": cell["model"], "cell": cell["id"]}
            if library == "polars":
                parts.append(part.with_columns(**{name: frames.lit(value) for name, value in columns.items()}))
            else:
                parts.append(part.assign(**columns))
        if not parts:
            raise ValueError(f"{self.folder} has no finished evaluation yet")
        return frames.concat(parts)
