"""Puts a finished bundle in its place in one step, and never over anything but a bundle."""

import shutil
from pathlib import Path

from export.errors import ExportError
from stream.bundle import MANIFEST


def check_replaceable(out: Path) -> None:
    """Raise ExportError where `out` is there and is no bundle."""
    if out.exists() and not (out / MANIFEST).is_file():
        raise ExportError(f"{out}: exists and is no bundle (no {MANIFEST}); choose another --out")


def publish(finished: Path, out: Path) -> None:
    """Move the directory `finished` to `out`, in place of the bundle that may be there.

    Both must be on one file system. A reader sees the old bundle or the new one, never a mixture;
    for the instant between two renames it may see none. Where the second rename fails, the old
    bundle is put back.
    """
    check_replaceable(out)
    if not out.exists():
        finished.rename(out)
        return
    replaced = finished.with_name(finished.name + ".replaced")
    out.rename(replaced)
    try:
        finished.rename(out)
    except OSError:
        replaced.rename(out)
        raise
    shutil.rmtree(replaced)
