"""The model as the worker runs it: raw texts in, scores out. Alone imports onnxruntime, tokenizers.

On a CPU each text runs by itself, on as many one-thread callers as there are cores: no padding is
computed, a score cannot depend on the texts beside it, and two callers with one thread each were
measured faster than one operator on two threads. On a GPU texts of like length run as batches.
"""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from tokenizers import Encoding, Tokenizer

from stream.batching import pack
from stream.bundle import Bundle, check_golden
from stream.errors import BundleError, ConfigurationError, ModelFaultError, ModelReplyError
from stream.graph import leans_on_other_files
from stream.ports import Scored
from stream.schema import LABELS, NORMAL
from stream.text import normalise

Device = Literal["cpu", "cuda"]
Array = npt.NDArray[np.float32]

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class Classifier:
    """A loaded bundle on a device.

    `score` may be called from one thread at a time. Raises ConfigurationError where the device is
    not there (there is no silent CPU), BundleError where the bundle does not load.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: Device = "cpu",
        callers: int | None = None,
        max_batch_tokens: int = 4096,
        max_batch_rows: int | None = None,
    ) -> None:
        self.manifest = bundle.manifest
        on_cpu = device == "cpu"
        self._callers = callers or (len(os.sched_getaffinity(0)) if on_cpu else 1)
        self._max_tokens = max_batch_tokens
        self._max_rows = max_batch_rows or (1 if on_cpu else 64)
        try:
            self._tokenizer = Tokenizer.from_str(bundle.tokenizer.decode())
            # Not every reason is a ValueError: the tokenizers library raises bare Exception.
        except Exception as error:
            raise BundleError(f"{bundle.manifest.name}: tokenizer.json: {error}") from None
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(bundle.manifest.max_length)
        self._session = _session(bundle, device)
        self._inputs = {node.name for node in self._session.get_inputs()}
        self._pool = ThreadPoolExecutor(self._callers, thread_name_prefix="infer")

    def verify(self) -> None:
        """Run the golden texts: warms the model up and raises BundleError where scores differ."""
        texts = [golden.text for golden in self.manifest.golden]
        check_golden(self.manifest, self.score(texts).scores)

    def score(self, texts: Sequence[str]) -> Scored:
        """Return the scores of raw `texts`; a text that normalises to nothing is 정상.

        Raises ModelFaultError where the model fails or answers with scores that are not finite,
        ModelReplyError where its answer has the wrong shape.
        """
        begun = time.perf_counter()
        normalised = [normalise(text) for text in texts]
        empty = np.array([not text for text in normalised], dtype=np.bool_)
        spoken = np.flatnonzero(~empty)
        encodings = self._tokenizer.encode_batch_fast([normalised[i] for i in spoken])
        tokenised = time.perf_counter()
        scores = np.zeros((len(texts), len(LABELS)), dtype=np.float32)
        scores[empty, LABELS.index(NORMAL)] = 1.0
        scores[spoken] = _softmax(self._logits(encodings))
        return Scored(
            scores=scores,
            empty=empty,
            truncated=sum(bool(encoding.overflowing) for encoding in encodings),
            tokenise_seconds=tokenised - begun,
            infer_seconds=time.perf_counter() - tokenised,
        )

    def logits(self, texts: Sequence[str]) -> Array:
        """Return the logits [texts, labels] of raw `texts`; the exporter compares them."""
        return self._logits(self._tokenizer.encode_batch_fast([normalise(text) for text in texts]))

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _logits(self, encodings: Sequence[Encoding]) -> Array:
        batches = pack([len(e.ids) for e in encodings], self._max_tokens, self._max_rows)
        rows = np.zeros((len(encodings), len(LABELS)), dtype=np.float32)
        answers = self._pool.map(self._run, [[encodings[i] for i in batch] for batch in batches])
        for batch, answer in zip(batches, answers, strict=True):
            rows[batch] = answer
        return rows

    def _run(self, batch: Sequence[Encoding]) -> Array:
        """Return the logits [rows, labels] of one batch, padded to its longest text."""
        shape = (len(batch), max(len(encoding.ids) for encoding in batch))
        # Padding may be any token: the mask hides it. Zero is one in every vocabulary.
        feed = {name: np.zeros(shape, dtype=np.int64) for name in self._inputs}
        for row, encoding in enumerate(batch):
            feed["input_ids"][row, : len(encoding.ids)] = encoding.ids
            feed["attention_mask"][row, : len(encoding.ids)] = 1
        try:
            (logits,) = self._session.run(["logits"], feed)
        except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
            # From None, and the class alone: a runtime's message may hold a piece of the input.
            raise ModelFaultError(f"{type(error).__name__} on {len(batch)} texts") from None
        answer = np.asarray(logits, dtype=np.float32)
        if answer.shape != (len(batch), len(LABELS)):
            raise ModelReplyError(f"{len(batch)} texts in, an answer of shape {answer.shape} out")
        if not np.isfinite(answer).all():
            raise ModelFaultError(f"scores that are not finite for {len(batch)} texts")
        return answer


def _session(bundle: Bundle, device: Device) -> ort.InferenceSession:
    provider = _PROVIDERS[device]
    try:
        whole = not leans_on_other_files(bundle.model)
    except ValueError:
        raise BundleError(f"{bundle.manifest.name}: model.onnx is no ONNX file") from None
    if not whole:
        raise BundleError(
            f"{bundle.manifest.name}: model.onnx leaves weights to another file, which nothing "
            "verifies; export it as one file"
        )
    if device == "cuda":
        ort.preload_dlls()
    if provider not in ort.get_available_providers():
        raise ConfigurationError(
            f"device {device}: this build of ONNX Runtime has no {provider}; "
            "install kcguard[gpu] in place of kcguard[cpu], or set KCGUARD_DEVICE=cpu"
        )
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # A spinning thread takes the core from the event loop: p95 74 -> 46 ms beside a busy thread.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(bundle.model, options, providers=[provider])
    except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
        raise BundleError(f"{bundle.manifest.name}: model.onnx does not load: {error}") from None
    if session.get_providers()[0] != provider:
        raise ConfigurationError(
            f"device {device}: asked for, but ONNX Runtime fell back to "
            f"{session.get_providers()[0]}; check the driver and CUDA libraries"
        )
    inputs = {node.name for node in session.get_inputs()}
    if (
        not {"input_ids", "attention_mask"}
        <= inputs
        <= {
            "input_ids",
            "attention_mask",
            "token_type_ids",
        }
    ):
        raise BundleError(f"{bundle.manifest.name}: model.onnx takes {sorted(inputs)}")
    return session


def _softmax(logits: Array) -> Array:
    if not len(logits):
        return logits
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float32)
