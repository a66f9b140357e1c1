"""Every metric of the worker, in one place; each help text says which knob it asks to turn."""

from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from stream.bundle import Manifest
from stream.health import Sign
from stream.ports import Outcome, Readiness, Stage
from stream.schema import FLAGGED_LABELS, LABEL_CODES

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_RECORDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_DISPOSITIONS = ("malformed", "schema", "oversized", "model_input", "retries_exhausted")
_OUTCOMES = ("failed", "succeeded")


class Metrics:
    """`ports.Observer` on a Prometheus registry of its own."""

    def __init__(self, registry: CollectorRegistry, readiness: Readiness) -> None:
        self._records = Counter(
            "kcguard_records_total",
            "Records done with, by outcome. skipped_role: see judged_speakers in KCGUARD_POLICY.",
            ["outcome"],
            registry=registry,
        )
        self._flags = Counter(
            "kcguard_flags_total",
            "Flags acknowledged, by label. Too many: raise the label's threshold.",
            ["label"],
            registry=registry,
        )
        self._dead_letters = Counter(
            "kcguard_dead_letters_total",
            "Dead letters by disposition. Rising: look at what writes the source topic.",
            ["disposition"],
            registry=registry,
        )
        self._stage = Histogram(
            "kcguard_stage_seconds",
            "Time of a chunk in each stage. infer high: smaller model, more cores or a GPU; "
            "wait high: the worker is idle.",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._chunk = Histogram(
            "kcguard_chunk_records",
            "Records in a chunk. Always at KCGUARD_MAX_CHUNK_RECORDS: the worker is behind.",
            buckets=_RECORDS,
            registry=registry,
        )
        self._latency = Histogram(
            "kcguard_flag_latency_seconds",
            "From a record's timestamp to its flag's acknowledgement.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._lag = Gauge(
            "kcguard_lag_seconds",
            "Age of the oldest record in the chunk just taken; 0 when idle. Rising: add workers.",
            registry=registry,
        )
        ready = Gauge(
            "kcguard_ready",
            "1 when assigned, warm and publishable; /readyz says which is missing.",
            registry=registry,
        )
        ready.set_function(lambda: float(not readiness.missing()))
        self._truncated = Counter(
            "kcguard_truncated_texts_total",
            "Texts longer than the model reads; their end was not judged.",
            registry=registry,
        )
        self._rebalances = Counter(
            "kcguard_rebalances_total",
            "Times partitions were taken away. Often: see KCGUARD_GROUP_INSTANCE_ID.",
            registry=registry,
        )
        self._retries = Counter(
            "kcguard_publish_retries_total",
            "Publishes and commits tried again because the broker did not answer.",
            registry=registry,
        )
        self._second_views = Counter(
            "kcguard_second_views_total",
            "Utterances judged by a second view as well, in which a hidden spelling is undone.",
            registry=registry,
        )
        self._second_view_verdicts = Counter(
            "kcguard_second_view_verdicts_total",
            "Verdicts that the second view changed. False flags among them: see "
            "second_view in KCGUARD_POLICY.",
            registry=registry,
        )
        self._bundle = Gauge(
            "kcguard_bundle_info",
            "Always 1; its labels name the model and the policy that judge.",
            ["name", "version", "precision", "policy"],
            registry=registry,
        )
        self._transcripts = Counter(
            "kcguard_transcript_signs_total",
            "Signs that the recogniser hides or loses what was said (masked, empty_final, "
            "low_confidence, role_unknown, missing_key). Rising: ask whoever runs it.",
            ["sign"],
            registry=registry,
        )
        self._reloads = Counter(
            "kcguard_reloads_total",
            "Attempts to load a new bundle or policy. failed: the old one goes on; see the log.",
            ["outcome"],
            registry=registry,
        )
        self._stalls = Counter(
            "kcguard_stalls_total",
            "Times the work in hand did not move for KCGUARD_STALL_SECONDS; the log says where.",
            registry=registry,
        )
        # A series that first appears at 1 has no increase(); from 0 on, the first flag alerts.
        for outcome in get_args(Outcome):
            self._records.labels(outcome)
        for label in FLAGGED_LABELS:
            self._flags.labels(LABEL_CODES[label])
        for disposition in _DISPOSITIONS:
            self._dead_letters.labels(disposition)
        for sign in get_args(Sign):
            self._transcripts.labels(sign)
        for succeeded in (False, True):
            self._reloads.labels(_OUTCOMES[succeeded])

    def bundle(self, manifest: Manifest, policy_version: str) -> None:
        self._bundle.clear()
        self._bundle.labels(
            manifest.name, manifest.version, manifest.precision, policy_version
        ).set(1)

    def stage(self, stage: Stage, seconds: float) -> None:
        self._stage.labels(stage).observe(seconds)

    def chunk(self, records: int, lag_seconds: float) -> None:
        self._lag.set(max(lag_seconds, 0.0))
        if records:
            self._chunk.observe(records)

    def outcome(self, outcome: Outcome) -> None:
        self._records.labels(outcome).inc()

    def flag(self, label_code: str, latency_seconds: float) -> None:
        self._flags.labels(label_code).inc()
        self._latency.observe(max(latency_seconds, 0.0))

    def dead_letter(self, disposition: str) -> None:
        self._dead_letters.labels(disposition).inc()

    def truncated(self, texts: int) -> None:
        self._truncated.inc(texts)

    def rebalance(self) -> None:
        self._rebalances.inc()

    def publish_retry(self) -> None:
        self._retries.inc()

    def second_view(self, changed: bool) -> None:
        self._second_views.inc()
        if changed:
            self._second_view_verdicts.inc()

    def transcript(self, sign: Sign) -> None:
        self._transcripts.labels(sign).inc()

    def reload(self, succeeded: bool) -> None:
        self._reloads.labels(_OUTCOMES[succeeded]).inc()

    def stall(self) -> None:
        self._stalls.inc()
