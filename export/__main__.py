"""`python -m export`: the exporter's command line."""

import logging
import sys
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict

from export.errors import ExportError
from stream.bundle import Precision
from stream.errors import KcguardError
from train.errors import TrainError


class Export(BaseSettings):
    """Turn a checkpoint into a verified bundle that the worker loads."""

    model_config = SettingsConfigDict(
        cli_prog_name="kcguard-export",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        env_prefix="KCGUARD_EXPORT_",
    )

    checkpoint: Path = Field(description="The directory that `kcguard-train fit` wrote.")
    out: Path = Field(description="The bundle to write, e.g. models/kcguard; replaces a bundle.")
    precision: Precision = Field(
        description="int8 for CPUs (a quarter of the size), fp16 for GPUs, fp32 for comparison."
    )
    name: str | None = Field(None, description="The model's name; unset: that of the directory.")
    version: str | None = Field(
        None, description="The model's version; unset: twelve digits of the weights' sha256."
    )
    base_model: str | None = Field(
        None, description="The base model's name for the manifest; unset: what the run recorded."
    )

    def cli_cmd(self) -> None:
        from export.build import build

        build(self.checkpoint, self.out, self.precision, self.name, self.version, self.base_model)


def main(arguments: list[str] | None = None) -> int:
    """Export; return the exit status (1: the model fails its gate, 2: unusable input)."""
    # The libraries underneath are talkative at INFO; ours is a story of five lines.
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    logging.getLogger("export").setLevel(logging.INFO)
    try:
        CliApp.run(Export, cli_args=arguments)
    except ExportError as error:
        print(f"kcguard-export: {error}", file=sys.stderr)
        return error.exit_code
    except (TrainError, KcguardError) as error:
        print(f"kcguard-export: {error}", file=sys.stderr)
        return 2
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            place = ".".join(map(str, detail["loc"]))
            print(f"kcguard-export: {place}: {detail['msg']}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
