"""`python -m stream run | redrive | score | verify | …`: plugs the worker together."""

import asyncio
import contextlib
import itertools
import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliApp,
    CliPositionalArg,
    CliSubCommand,
    SettingsConfigDict,
    get_subcommand,
)

from stream import logs, schema, settings
from stream.bundle import read_bundle
from stream.deobfuscate import second_views
from stream.errors import FatalError, KcguardError
from stream.policy import decide_views
from stream.settings import KafkaSettings, Settings

log = logging.getLogger("stream")


class Run(Settings):
    """Read utterances from Kafka, judge them and emit flags, until SIGTERM."""

    def run(self) -> int:
        logs.configure(self.log_level, self.log_format)
        from stream.service import run

        return run(self)


class Redrive(KafkaSettings):
    """Count the dead letters by cause; with --send, send one cause back to its source topic."""

    dead_letters_topic: str = Field("moderation.dlq", description="Where the dead letters are.")
    parking_topic: str = Field(
        "moderation.dlq.parked", description="Where those go that it is no use to send back."
    )
    redrive_group: str = Field(
        "kcguard-redrive",
        min_length=1,
        description="Each cause's progress is the consumer group <this>.<cause>.",
    )
    max_attempts: int = Field(
        3, gt=0, le=1000, description="A record dead-lettered so often is parked, not sent back."
    )
    send: str | None = Field(
        None, description="The cause to send back, as the list names it; unset: list only."
    )
    limit: int | None = Field(
        None, gt=0, description="Move at most so many letters: try a few after a repair."
    )

    def run(self) -> int:
        from stream import deadletters, redrive

        logs.configure("warning", "text")
        config = redrive.RedriveConfig(
            bootstrap_servers=self.bootstrap_servers,
            dead_letters_topic=self.dead_letters_topic,
            parking_topic=self.parking_topic,
            group=self.redrive_group,
            max_attempts=self.max_attempts,
            connection=self.connection(),
        )
        redriver = redrive.Redriver(config)
        if self.send is None:
            print(deadletters.table(asyncio.run(redriver.survey())))
            return 0
        cause = deadletters.parse_cause(self.send)
        moved = asyncio.run(redriver.send_back(cause, self.limit))
        print(
            f"{cause}: {moved.sent} sent back to {cause.topic}, "
            f"{moved.parked} parked in {self.parking_topic}"
        )
        return 0


class Score(BaseModel):
    """Score texts without Kafka: one a line in, one JSON object a line out, in the same order."""

    model_config = ConfigDict(frozen=True)

    file: CliPositionalArg[str] = Field("-", description="A UTF-8 text file; - is standard input.")
    bundle: Path = Field(Path("models/kcguard"), description="The bundle to score with.")
    second_view: bool = Field(True, description="Judge by the second view as well, as `run` does.")

    def run(self) -> int:
        from stream.classifier import Classifier

        bundle = read_bundle(self.bundle)
        classifier = Classifier(bundle)
        with _lines(self.file) as source:
            for texts in _batches(source):
                views = second_views(texts) if self.second_view else {}
                rows = classifier.score([*texts, *views.values()]).scores
                second = dict(zip(views, rows[len(texts) :], strict=True))
                for number, text in enumerate(texts):
                    both = [rows[number], *([second[number]] if number in second else [])]
                    verdict = decide_views(both, bundle.manifest.thresholds)
                    answer = {
                        "text": text,
                        "label": verdict.label,
                        "label_code": schema.LABEL_CODES[verdict.label],
                        "flagged": verdict.flagged,
                        "score": round(verdict.score, 6),
                        "scores": {name: round(x, 6) for name, x in verdict.scores.items()},
                    }
                    print(json.dumps(answer, ensure_ascii=False), flush=True)
        classifier.close()
        return 0


class Verify(BaseModel):
    """Check a bundle: hashes, labels, normaliser, and its golden scores on this machine."""

    model_config = ConfigDict(frozen=True)

    directory: CliPositionalArg[Path] = Field(description="The bundle's directory.")

    def run(self) -> int:
        from stream.classifier import Classifier

        classifier = Classifier(read_bundle(self.directory))
        classifier.verify()
        manifest = classifier.manifest
        classifier.close()
        print(
            f"{self.directory}: {manifest.name} {manifest.version} ({manifest.precision}) "
            f"verifies: {len(manifest.files)} files, {len(manifest.golden)} golden texts"
        )
        return 0


class Schema(BaseModel):
    """Print the JSON Schemas of the three topics."""

    def run(self) -> int:
        print(json.dumps(schema.json_schemas(), ensure_ascii=False, indent=2))
        return 0


class ShowSettings(BaseModel):
    """Print every setting of `run` as a Markdown table."""

    def run(self) -> int:
        print(settings.table())
        return 0


class Stream(BaseSettings):
    """Real-time detection of 욕설 and 성희롱 in Korean call-centre transcripts."""

    model_config = SettingsConfigDict(
        cli_prog_name="kcguard-stream",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        env_prefix="KCGUARD_COMMAND_",
    )

    run: CliSubCommand[Run] = Field(description=Run.__doc__)
    redrive: CliSubCommand[Redrive] = Field(description=Redrive.__doc__)
    score: CliSubCommand[Score] = Field(description=Score.__doc__)
    verify: CliSubCommand[Verify] = Field(description=Verify.__doc__)
    schemas: CliSubCommand[Schema] = Field(alias="schema", description=Schema.__doc__)
    settings: CliSubCommand[ShowSettings] = Field(description=ShowSettings.__doc__)


@contextlib.contextmanager
def _lines(file: str) -> Iterator[Iterator[str]]:
    """Yield the lines of `file` without their ends; what is no UTF-8 becomes U+FFFD."""
    with contextlib.ExitStack() as stack:
        source = sys.stdin.buffer if file == "-" else stack.enter_context(Path(file).open("rb"))
        yield (line.rstrip(b"\r\n").decode(errors="replace") for line in source)


def _batches(lines: Iterator[str], size: int = 64) -> Iterator[list[str]]:
    """Yield lists of up to `size` lines; single lines where a person types them."""
    size = 1 if sys.stdin.isatty() else size
    while batch := list(itertools.islice(lines, size)):
        yield batch


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status (see stream/errors.py for those over 1)."""
    try:
        given = CliApp.run(Stream, cli_args=arguments)
        command = get_subcommand(given)
        assert isinstance(command, Run | Redrive | Score | Verify | Schema | ShowSettings)
        return command.run()
    except KcguardError as error:
        print(f"kcguard-stream: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, FatalError) else 1
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            place = ".".join(map(str, detail["loc"]))
            print(f"kcguard-stream: {place}: {detail['msg']}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read our output went away (`| head`): nothing to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"kcguard-stream: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
