"""What stops an export: what was given cannot be used, or what came out is not good."""

from typing import ClassVar


class ExportError(Exception):
    """The export cannot go on with what was given."""

    exit_code: ClassVar[int] = 2


class GateError(ExportError):
    """The exported model does not do what the trained one does; nothing was written."""

    exit_code = 1
