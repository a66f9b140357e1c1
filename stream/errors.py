"""Every error of the worker, named by what the worker does next.

    KcguardError
    ├── BadRecordError            dead-letter this record, go on with its neighbours
    │   ├── MalformedRecordError      (no UTF-8 JSON object)
    │   ├── SchemaViolationError      (an object that breaks the contract)
    │   ├── OversizedRecordError      (too large to be read at all)
    │   └── ModelInputError           (the model fails on this text, alone)
    ├── TransientError            try the same chunk again
    │   └── BrokerUnavailableError    (pull, publish or commit failed)
    ├── ModelFaultError           halve the texts; one that fails alone becomes a bad record
    └── FatalError                stop, say why, exit non-zero
        ├── ConfigurationError        (a setting, a file or a device is not as asked for)
        ├── BundleError               (the bundle does not verify)
        ├── ModelReplyError           (the model answered for another number of texts)
        ├── DeadLetterLimitError      (too many records go to the dead letters)
        ├── StopDeadlineError         (the stop took longer than it may)
        └── UnexpectedError           (an error that is none of these)

A class's docstring is its default message. No message quotes a transcript.
"""

import traceback
from typing import ClassVar, Self


class KcguardError(Exception):
    """Something went wrong in kcguard."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class BadRecordError(KcguardError):
    """The record can never be judged."""

    disposition: ClassVar[str] = "malformed"


class MalformedRecordError(BadRecordError):
    """The record holds no UTF-8 JSON object."""


class SchemaViolationError(BadRecordError):
    """The record's object breaks the contract."""

    disposition = "schema"


class OversizedRecordError(BadRecordError):
    """The record is larger than may be read."""

    disposition = "oversized"


class ModelInputError(BadRecordError):
    """The model fails on this text, alone as well as in company."""

    disposition = "model_input"


class TransientError(KcguardError):
    """A fault that is expected to pass."""


class BrokerUnavailableError(TransientError):
    """The broker does not answer."""


class ModelFaultError(KcguardError):
    """The model failed: out of memory, a runtime error, or scores that are not finite."""


class FatalError(KcguardError):
    """The worker cannot go on."""

    exit_code: ClassVar[int] = 1


class ConfigurationError(FatalError):
    """A setting is not usable."""

    exit_code = 2


class BundleError(FatalError):
    """The bundle does not verify."""

    exit_code = 3


class ModelReplyError(FatalError):
    """The model's answer does not fit the question. This is a bug."""

    exit_code = 4


class DeadLetterLimitError(FatalError):
    """Too many records go to the dead letters."""

    exit_code = 5


class StopDeadlineError(FatalError):
    """The worker did not stop within its deadline."""

    exit_code = 6


class UnexpectedError(FatalError):
    """An error that nobody foresaw. This is a bug."""

    exit_code = 7

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Return what may be told of `error`: class and places, not its words, nor its causes'.

        A library's message may quote what it was given, and that may be a transcript.
        """
        places = (
            f"  {place.filename}:{place.lineno} in {place.name}"
            for place in traceback.extract_tb(error.__traceback__)
        )
        return cls("\n".join([f"{cls.__doc__} {type(error).__name__}, raised at", *places]))
