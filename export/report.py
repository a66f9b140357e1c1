"""What a bundle says of itself: the figures for people and for programs, free of machine paths."""

from collections.abc import Mapping
from typing import Any

from export.parity import Parity
from stream.bundle import Precision
from train.evaluate import table
from train.model import display_name


def summary(training: Mapping[str, Any], parity: Parity) -> dict[str, Any]:
    """Return the few figures that the manifest carries."""
    parts = {
        part: {
            name: report["at_thresholds"][name]
            for name in ("rows", "accuracy", "macro_f1", "detection_rate", "false_positive_rate")
        }
        for part, report in training["metrics"].items()
    }
    return {
        **parts,
        "threshold_curve": training["threshold_curve"],
        "parity": parity.to_json(),
    }


def provenance(training: Mapping[str, Any], exporter: Mapping[str, str]) -> dict[str, Any]:
    """Return how the model was made: settings, data by hash, versions of trainer and exporter."""
    # Of a path the last component: the rest is one machine's.
    shown = training["config"].items()
    config = {name: _shown(value) for name, value in shown if name not in ("out", "corpora")}
    return {
        "config": config,
        # Not the config's where the thresholds were chosen anew afterwards.
        "false_alarm_budget": training["false_alarm_budget"],
        "rows": training["rows"],
        "data_sha256": training["data_sha256"],
        "versions": training["versions"],
        "exporter_versions": dict(exporter),
    }


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return [_shown(each) for each in value]
    return display_name(value) if isinstance(value, str) else value


def markdown(
    name: str,
    precision: Precision,
    size: int,
    training: Mapping[str, Any],
    parity: Parity,
    run_report: str | None,
) -> str:
    """Return report.md: how close the bundle is to the trained model, and how good that is.

    `run_report` is what `kcguard-train report` wrote of the run; without it the figures of
    `training` stand in.
    """
    lines = [
        f"# {name}",
        "",
        f"Precision {precision}, model.onnx {size / 2**20:.1f} MiB.",
        "",
        f"Against the trained model, on {parity.texts} validation texts scored one by one by the "
        f"worker's own class: {parity.equal_decisions:.2%} equal decisions, largest difference of "
        f"a logit {parity.max_logit_difference:.2g}. All other figures are the trained model's.",
    ]
    if run_report is not None:
        # Its title is the run's name.
        return "\n".join([*lines, *run_report.split("\n")[1:]])
    for part, report in training["metrics"].items():
        thresholds = ", ".join(f"{k} {v:.3f}" for k, v in report["thresholds"].items())
        lines += [
            "",
            f"## {part}, at the thresholds {thresholds}",
            "",
            "```",
            table(report["at_thresholds"]),
            "```",
        ]
    return "\n".join(lines) + "\n"
