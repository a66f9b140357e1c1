"""Writes the figures of a run's report (report.json) out for people, as report.md. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stream.schema import FLAGGED_LABELS, LABELS
from train.pictures import drawable

Figures = Mapping[str, Any]

WORST, WORST_ROWS = 12, 10
"""Kinds shown under "Where it still fails", and the rows that one needs to be shown."""


def markdown(report: Figures) -> str:
    """Return report.md: the figures of `report`, each with what it is of."""
    rows = "; ".join(
        f"{part} {', '.join(f'{label} {n}' for label, n in counts.items())}"
        for part, counts in report["rows"].items()
    )
    sections = {
        report["run"]: [
            f"Rows: {rows}.",
            f"Thresholds: {_each(report['thresholds'], '.3f')}, chosen on the validation part for "
            f"{report['false_alarm_budget']:.1%} false alarms. A line counts as detected where the "
            "worker decides its own label at these thresholds; a false alarm is a 정상 line that "
            "is flagged at all.",
        ],
        "Learning": _learning_text(report["learning"]),
        "The test part": _test_text(report),
        "Calibration": _calibration_text(report["calibration"]),
        "Thresholds": _thresholds_text(report["budgets"]),
        "Before and after": _before_text(report["before"]),
        **{f"The corpus, {part}": _part_text(of) for part, of in report["parts"].items()},
        "Where it still fails": _worst_text(report["parts"]),
        "Minimal pairs": _pairs_text(report["pairs"]),
        "Perturbed lines": _perturbed_text(report["perturbed"]),
        "Harmless public speech": _spoken_text(report),
        "Size of the corpus": _size_text(report["size"]),
        "What training changed": _weights_text(report["weights"]),
    }
    drawn = drawable(report)
    shown = {
        "Learning": ["learning"],
        "The test part": ["confusion", "precision_recall"],
        "Calibration": ["reliability"],
        "Thresholds": ["thresholds"],
        "Size of the corpus": ["size"],
    }
    blocks = []
    for level, (title, texts) in enumerate(sections.items()):
        images = [f"![{n}](pictures/{n}.png)" for n in shown.get(title, []) if n in drawn]
        blocks += [f"{'##' if level else '#'} {title}", *texts, *images]
    return "\n\n".join(blocks) + "\n"


def _learning_text(learning: Figures) -> list[str]:
    rows = [
        (f"{row['epoch']:.2f}", row["step"], _number(row["loss"]), _number(row["macro_f1"]))
        for row in learning["evaluation"]
    ]
    return [_table(("epoch", "step", "loss, validation", "macro F1, validation"), rows)]


def _test_text(report: Figures) -> list[str]:
    test, highest = report["test"]["at_thresholds"], report["test"]["highest_score"]
    curves = report["precision_recall"]
    rows = [
        (
            label,
            of["rows"],
            *(_share(of[name]) for name in ("precision", "recall", "f1")),
            _number(curves[label]["average_precision"]) if label in curves else "",
        )
        for label, of in test["labels"].items()
    ]
    return [
        _table(("label", "rows", "precision", "recall", "F1", "average precision"), rows),
        f"Accuracy {test['accuracy']:.1%}, macro F1 {test['macro_f1']:.3f}, false alarms "
        f"{test['false_positive_rate']:.1%}. Were the highest score to decide: accuracy "
        f"{highest['accuracy']:.1%}, macro F1 {highest['macro_f1']:.3f}, false alarms "
        f"{highest['false_positive_rate']:.1%}.",
    ]


def _calibration_text(calibration: Figures) -> list[str]:
    error, brier = calibration["expected_calibration_error"], calibration["brier"]
    return [
        f"Expected calibration error {error:.3f} (bins of the highest score), Brier score "
        f"{brier:.3f} (0 best, 2 worst), on the test part."
    ]


def _thresholds_text(budgets: Figures) -> list[str]:
    names = {"all": "whole test part", "call": "calls: lines and turns", "other": "elsewhere"}
    rows = [
        (
            f"{row['budget']:.1%}",
            _each(row["thresholds"], ".3f"),
            names[group],
            row["rows"],
            # A label without a row in the group has no detection rate.
            *(
                _share(row["detection_rate"][label] if of.get("labels", {}).get(label, 1) else None)
                for label in FLAGGED_LABELS
            ),
            _share(row["false_positive_rate"]),
        )
        for group, of in budgets.items()
        for row in of["at"]
    ]
    return [
        "Thresholds are chosen on the validation part for each budget of false alarms; detection "
        "and false alarms are of the test part. The curve below is of the validation part itself.",
        _table(("budget", "thresholds", "of", "rows", *FLAGGED_LABELS, "false alarms"), rows),
    ]


def _before_text(before: Figures) -> list[str]:
    if "absent" in before:
        return [before["absent"]]
    sides = {"before": before["before"], "after": before["after"]}
    rates = [
        (
            side,
            *map(_share, of["at_thresholds"]["detection_rate"].values()),
            _share(of["at_thresholds"]["false_positive_rate"]),
            _number(of["highest_score"]["macro_f1"]),
        )
        for side, of in sides.items()
    ]
    sentences = [
        (
            row["text"],
            row["label"],
            *(f"{row[side]['label']} ({row[side]['own_score']:.2f})" for side in sides),
        )
        for row in before["sentences"]
    ]
    return [
        f"Before: {before['base_model']} with an untrained head. The test part:",
        _table(("", *FLAGGED_LABELS, "false alarms", "macro F1 of the highest score"), rates),
        "Twelve sentences of no data set: the decision, and the score of the sentence's own label.",
        _table(("sentence", "label", *sides), sentences),
    ]


def _part_text(part: Figures) -> list[str]:
    blocks = []
    for name in ("kind", "register", "source"):
        rows = [
            (
                row["group"],
                row["label"],
                row["rows"],
                _share(row["right"]),
                *row["decided"].values(),
            )
            for row in part[name]
        ]
        blocks.append(
            _table((name, "label", "rows", "right", *(f"as {label}" for label in LABELS)), rows)
        )
    if "calls" in part:
        calls = part["calls"]
        blocks.append(
            f"Whole calls: {calls['calls']} with {calls['turns']} turns, every speaker's judged; "
            f"{calls['with_a_wrong_flag']:.1%} of the calls have at least one wrong flag."
        )
    return blocks


def _worst_text(parts: Figures) -> list[str]:
    if not parts:
        return ["The corpus was not given (see --corpus): nothing is known by kind."]
    rows = sorted(
        (
            (row["right"], part, row["group"], row["label"], row["rows"])
            for part, of in parts.items()
            for row in of["kind"]
            if row["right"] < 1 and row["rows"] >= WORST_ROWS
        ),
    )
    return [
        f"The {WORST} kinds of at least {WORST_ROWS} rows with the smallest share right.",
        _table(
            ("part", "kind", "label", "rows", "right"),
            [(*row[1:], _share(row[0])) for row in rows[:WORST]],
        ),
    ]


def _pairs_text(pairs: Figures) -> list[str]:
    if not pairs:
        return ["The corpus holds no minimal pairs, or was not given (see --corpus)."]
    names = ("both_right", "abusive_flagged", "harmless_silent")
    rows = [
        (label, of["pairs"], *(_share(of[name]) for name in names)) for label, of in pairs.items()
    ]
    header = (
        "twin",
        "pairs",
        "both right",
        "abusive twin flagged as its own",
        "harmless one silent",
    )
    return [_table(header, rows)]


def _perturbed_text(perturbed: Figures) -> list[str]:
    rows = [
        (
            name,
            of["lines"],
            of["changed"],
            *(
                f"{_share(side['clean'])} → {_share(side['perturbed'])}" if side["changed"] else ""
                for side in (of, *of["labels"].values())
            ),
        )
        for name, of in perturbed.items()
    ]
    return [
        "Detection of the abusive test lines that a perturbation changes, clean → perturbed.",
        _table(("perturbation", "lines", "changed", "both", *FLAGGED_LABELS), rows),
    ]


def _spoken_text(report: Figures) -> list[str]:
    if not report["spoken"]:
        return ["The public corpora were not given (see --corpora)."]
    rows = [
        (name, of["rows"], _share(of["false_alarms"]), *map(_share, of["labels"].values()))
        for name, of in report["spoken"].items()
    ]
    known = (
        "None of the rows was trained on."
        if report["training_texts_known"]
        else "The run kept no full list of its training texts: some of the rows may be among them."
    )
    return [
        f"{known} The sets are harmless as a whole by their sources; nobody read every row.",
        _table(("set", "rows", "flagged", *(f"as {label}" for label in FLAGGED_LABELS)), rows),
    ]


def _size_text(size: Figures) -> list[str]:
    if "absent" in size:
        return [size["absent"]]
    rows = [
        (
            of["rows"],
            *(_share(of["detection_rate"][label]) for label in FLAGGED_LABELS),
            _share(of["false_positive_rate"]),
        )
        for of in size["points"]
    ]
    return [_table(("training rows", *FLAGGED_LABELS, "false alarms"), rows)]


def _weights_text(weights: Figures) -> list[str]:
    if "absent" in weights:
        return [weights["absent"]]
    left_out = ", ".join(weights["not_compared"])
    return [
        "The Frobenius norm of the change over that of the base's weights.",
        _table(("part", "change"), [(of["part"], _share(of["change"])) for of in weights["parts"]]),
        f"{weights['pieces_compared']} of {weights['pieces']} pieces of the vocabulary are the "
        f"base's too and were compared. The head is new: its norm is {weights['head_norm']:.2f}."
        + (f" Not compared: {left_out}." if left_out else ""),
    ]


def _table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _each(values: Mapping[str, float], form: str) -> str:
    return ", ".join(f"{label} {value:{form}}" for label, value in values.items())


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
