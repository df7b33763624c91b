"""Draws the wall times: one panel a case, one bar a contender."""

from pathlib import Path
from typing import Final

from benchmarks.cases import TITLES
from benchmarks.ours import Ours
from benchmarks.results import Results

_COLUMNS: Final = 2
_OURS_COLOUR: Final = "#1f6feb"
_OTHER_COLOUR: Final = "#b8c0cc"
_PANEL_INCHES: Final = (5.5, 1.7)
# A drawing of the same figures must be the same file.
_SALT: Final = "transship"


def draw(results: Results, *paths: Path) -> None:
    """Writes the drawing to each path, in the format that its suffix says."""
    import matplotlib as mpl  # noqa: PLC0415 - the rest of the package does without it

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = _SALT
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice of the backend

    cases = results.cases
    rows = -(-len(cases) // _COLUMNS)
    width, height = _PANEL_INCHES
    figure, panels = plt.subplots(rows, _COLUMNS, figsize=(width * _COLUMNS, height * rows), squeeze=False)
    for panel in panels.flat[len(cases) :]:
        panel.axis("off")
    for panel, case in zip(panels.flat, cases, strict=False):
        shown = results.of(case)
        walls = [each.usage.wall_s if each.usage else 0.0 for each in shown]
        colours = [_OURS_COLOUR if each.contender == Ours.name else _OTHER_COLOUR for each in shown]
        bars = panel.barh([each.contender for each in shown], walls, color=colours)
        labels = [f"{each.usage.wall_s:.2f} s" if each.usage else "failed" for each in shown]
        panel.bar_label(bars, labels=labels, padding=3, fontsize=8)
        panel.set_title(f"{case}: {TITLES[case]}", fontsize=9, loc="left")
        panel.invert_yaxis()
        panel.margins(x=0.2)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("wall time in seconds, median; shorter is better", fontsize=8)
    figure.tight_layout()
    for path in paths:
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
