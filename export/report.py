"""What a bundle says of itself: the figures for people and for programs, free of machine paths."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export.parity import Parity
from stream.bundle import Precision
from train.evaluate import table


def summary(training: Mapping[str, Any], parity: Parity) -> dict[str, Any]:
    """Return the few figures that the manifest carries."""
    parts = {
        part: {
            name: report["at_thresholds"][name]
            for name in ("rows", "accuracy", "macro_f1", "detection_rate", "false_positive_rate")
        }
        for part, report in training["metrics"].items()
    }
    return {**parts, "parity": parity.to_json()}


def provenance(training: Mapping[str, Any], export: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the model was made: settings, data by hash, versions, and what export did."""
    config = {name: value for name, value in training["config"].items() if name != "out"}
    config["data"] = Path(config["data"]).name
    config["base_model"] = base_model_name(config["base_model"])
    return {
        "config": config,
        # Not the config's where the thresholds were chosen anew afterwards.
        "false_alarm_budget": training["false_alarm_budget"],
        "rows": training["rows"],
        "data_sha256": training["data_sha256"],
        "versions": training["versions"],
        "export": dict(export),
    }


def base_model_name(name_or_path: str) -> str:
    """Return a hub name as it is, and of a path the last component: the rest is one machine's."""
    local = name_or_path.startswith((".", "/", "~")) or name_or_path.count("/") > 1
    return Path(name_or_path).name if local or Path(name_or_path).is_dir() else name_or_path


def markdown(
    name: str,
    precision: Precision,
    size: int,
    training: Mapping[str, Any],
    parity: Parity,
    notes: str,
) -> str:
    """Return report.md: how good the model is, and how close the bundle is to it."""
    lines = [
        f"# {name}",
        "",
        f"Precision {precision}, model.onnx {size / 2**20:.1f} MiB. {notes}",
        "",
        f"Against the trained model, on {parity.texts} validation texts scored one by one by the "
        f"worker's own class: {parity.equal_decisions:.2%} equal decisions, largest difference of "
        f"a logit {parity.max_logit_difference:.2g}.",
    ]
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
