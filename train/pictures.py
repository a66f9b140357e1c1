"""Draws the figures of a run's report (report.json) as PNG files.

Labelled with the English label codes, so that a machine without a Korean font draws them as well.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stream.schema import FLAGGED_LABELS, LABEL_CODES, LABELS

Figures = Mapping[str, Any]

_DPI = 110
_CODES = [LABEL_CODES[label] for label in LABELS]


def draw(report: Figures, directory: Path) -> None:
    """Write a PNG into `directory` for every picture whose figures `report` has."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in drawable(report):
        # A bare Figure, not pyplot: no display is needed and no state is kept.
        figure = Figure(figsize=(5.6, 4), layout="constrained")
        _PICTURES[name](figure.add_subplot(), report)
        figure.savefig(directory / f"{name}.png", dpi=_DPI)


def drawable(report: Figures) -> list[str]:
    """Return the names of the pictures whose figures are in `report`."""
    has = {
        "learning": bool(report["learning"]["evaluation"] or report["learning"]["loss"]),
        "size": "points" in report["size"],
    }
    return [name for name in _PICTURES if has.get(name, True)]


def _learning(axes: Axes, report: Figures) -> None:
    learning = report["learning"]
    losses = {"loss, training": learning["loss"], "loss, validation": learning["evaluation"]}
    for (name, rows), style in zip(losses.items(), ("-", "o--"), strict=True):
        axes.plot([row["step"] for row in rows], [row["loss"] for row in rows], style, label=name)
    axes.set(xlabel="step", ylabel="loss")
    right = axes.twinx()
    rows = learning["evaluation"]
    (line,) = right.plot([row["step"] for row in rows], [row["macro_f1"] for row in rows], "s-g")
    line.set_label("macro F1, validation")
    right.set(ylabel="macro F1", ylim=(0, 1))
    right.legend(handles=[*axes.get_lines(), line], loc="lower left")


def _confusion(axes: Axes, report: Figures) -> None:
    counts = report["test"]["at_thresholds"]["confusion"]
    shares = [[count / max(1, sum(row)) for count in row] for row in counts]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for y, row in enumerate(counts):
        for x, count in enumerate(row):
            dark = shares[y][x] > 0.5
            text = f"{count}\n{shares[y][x]:.0%}"
            axes.text(x, y, text, ha="center", va="center", color="white" if dark else "black")
    axes.set_xticks(range(len(LABELS)), _CODES)
    axes.set_yticks(range(len(LABELS)), _CODES)
    axes.set_xlabel("decided")
    axes.set_ylabel("true")
    axes.set_title("test part, at the run's thresholds")


def _precision_recall(axes: Axes, report: Figures) -> None:
    for label, curve in report["precision_recall"].items():
        name = f"{LABEL_CODES[label]} (AP {curve['average_precision']:.2f})"
        axes.plot(curve["recall"], curve["precision"], label=name)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.set_title("test part, each label against the rest")
    _finish(axes)


def _thresholds(axes: Axes, report: Figures) -> None:
    _detection(axes, report["threshold_curve"], "false_positive_rate", "-")
    axes.set_xlabel("share of harmless validation texts flagged")
    axes.set_xlim(left=0)
    axes.set_title("validation part, as the thresholds move")
    _finish(axes)


def _reliability(axes: Axes, report: Figures) -> None:
    bins = report["calibration"]["bins"]
    axes.plot([0, 1], [0, 1], ":", color="grey", label="perfect")
    axes.plot([row["score"] for row in bins], [row["right"] for row in bins], "o-", label="model")
    axes.set(xlabel="highest score", ylabel="share right", xlim=(0, 1.02), ylim=(0, 1.02))
    error = report["calibration"]["expected_calibration_error"]
    axes.set_title(f"test part, expected calibration error {error:.3f}")
    _finish(axes)


def _size(axes: Axes, report: Figures) -> None:
    points = report["size"]["points"]
    _detection(axes, points, "rows", "o-")
    false_alarms = [point["false_positive_rate"] for point in points]
    rows = [point["rows"] for point in points]
    axes.plot(rows, false_alarms, "o--", color="grey", label="false alarms")
    axes.set_xlabel("training rows")
    axes.set_xlim(left=0)
    _finish(axes)


def _detection(axes: Axes, points: Sequence[Figures], x: str, style: str) -> None:
    for label in FLAGGED_LABELS:
        detection = [point["detection_rate"][label] for point in points]
        axes.plot([point[x] for point in points], detection, style, label=LABEL_CODES[label])
    axes.set_ylabel("detection (own label)")
    axes.set_ylim(0, 1.02)


def _finish(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    axes.legend(loc="best")


_PICTURES: Mapping[str, Callable[[Axes, Figures], None]] = {
    "learning": _learning,
    "confusion": _confusion,
    "precision_recall": _precision_recall,
    "thresholds": _thresholds,
    "reliability": _reliability,
    "size": _size,
}
