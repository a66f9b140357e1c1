"""Every setting of the worker: one frozen model, read from flags, `KCGUARD_*` and files.

Flags win over the environment, the environment over a `.env` file, and that over files of secrets.
Nothing else reads the environment.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from stream.connection import KafkaSettings

__all__ = ["KafkaSettings", "Settings", "table"]


class Settings(KafkaSettings):
    """The settings of `kcguard-stream run`."""

    group_id: str = Field("kcguard", min_length=1, description="The consumer group.")
    group_instance_id: str | None = Field(
        None, description="A name that outlives restarts (static membership): no rebalance then."
    )
    source_topic: str = Field("transcripts.utterances", description="Where utterances are read.")
    flags_topic: str = Field("moderation.flags", description="Where flags go.")
    dead_letters_topic: str = Field("moderation.dlq", description="Where dead letters go.")
    auto_offset_reset: Literal["earliest", "latest"] = Field(
        "earliest", description="Where a new group begins. latest skips the backlog unread."
    )
    bundle: Path = Field(
        Path("models/kcguard"), description="The model: a directory that kcguard-export wrote."
    )
    device: Literal["cpu", "cuda"] = Field(
        "cpu", description="Where the model runs. cuda stops the start where there is none."
    )
    callers: int | None = Field(
        None, gt=0, description="Threads that run the model; unset: one a core on cpu, 1 on cuda."
    )
    max_batch_tokens: int = Field(
        4096, gt=0, description="Padded tokens a batch. Raise on cuda until memory or latency bind."
    )
    max_batch_rows: int | None = Field(
        None,
        gt=0,
        description="Texts a batch; unset: 1 on cpu (a score then depends on its text alone), "
        "64 on cuda.",
    )
    max_chunk_records: int = Field(
        256,
        gt=0,
        description="Records judged and committed together. Smaller: sooner flags under load.",
    )
    max_record_bytes: int = Field(
        65_536,
        gt=0,
        le=900_000,
        description="A larger record is dead-lettered unread (oversized). Up to 900000: a flag "
        "repeats the text, and Kafka takes 1 MB.",
    )
    policy: Path | None = Field(
        None,
        description="A TOML file with thresholds, severities, judged speakers and the second view; "
        "unset: the bundle's thresholds and the defaults (see Policy).",
    )
    reload_seconds: float = Field(
        10.0,
        ge=0,
        description="Seconds between two looks whether bundle or policy file changed; 0: reload on "
        "SIGHUP alone.",
    )
    flag_text: Literal["full", "masked", "none"] = Field(
        "full", description="How much of the utterance a flag carries."
    )
    dead_letter_max_ratio: float = Field(
        0.5, gt=0, le=1, description="Over this share of the last 1000 records the worker stops."
    )
    dead_letter_max_consecutive: int = Field(
        200, gt=0, description="Over this many dead letters in a row the worker stops."
    )
    stop_seconds: float = Field(
        25.0, gt=0, description="Deadline of a stop; stay under the platform's kill (30 s in k8s)."
    )
    stall_seconds: float = Field(
        120.0,
        gt=0,
        description="A chunk that has not moved for so long turns /livez red and logs where every "
        "thread stands. Stay over the outages of Kafka that a worker should sit out.",
    )
    http_host: str = Field(
        "127.0.0.1", description="Where /metrics, /livez and /readyz listen; 0.0.0.0 for all."
    )
    http_port: int = Field(9464, ge=0, le=65535, description="Their port; 0 picks a free one.")
    http_token: SecretStr | None = Field(
        None,
        min_length=8,
        description="Bearer token that /metrics asks for; the probes never do. Unset: none.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least level that is logged."
    )
    log_format: Literal["json", "text"] = Field(
        "text", description="json: one object a line, for machines."
    )


def table() -> str:
    """Return the settings as a Markdown table; the README's is this one."""
    lines = ["| variable | default | what it does |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, bool):
            default = str(default).lower()
        shown = "unset" if default is None else f"`{default}`"
        lines.append(f"| `KCGUARD_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(lines)
