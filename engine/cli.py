"""The command line: one thin function a verb."""

from __future__ import annotations

import errno
import math
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)

from engine import fetch as fetching
from engine import studies, workflow
from engine.clusters import ClusterSpec, Executor, Profile
from engine.config import Config, load_config, load_names, load_profile, with_workers
from engine.errors import FootfallError, StoppedError
from engine.runs import Progress as RunProgress
from engine.studies import freezing

INTERRUPTED = 130


class _Terminated(BaseException):
    """The process was told to end (SIGTERM), as batch systems do before a walltime is over."""


def _terminate(signum: int, frame: object) -> None:
    # Once is enough: batch systems say it to every process, and a job's script says it again, which
    # must not break off what is being put in order.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Terminated


def _speaks_plainly(verb: Callable[..., None]) -> Callable[..., None]:
    """Errors raised on purpose become one clear message and an exit code, never a traceback."""

    @wraps(verb)
    def spoken(*arguments: Any, **options: Any) -> None:
        before = signal.signal(signal.SIGTERM, _terminate)
        try:
            verb(*arguments, **options)
        except FootfallError as error:
            click.echo(f"footfall: {error}", err=True)
            sys.exit(error.exit_code)
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read the output has read enough
                raise
            at = f"{error.filename}: " if error.filename else ""
            click.echo(
                f"footfall: {at}{error.strerror or error}\n  remedy: mend what the message names, "
                "then the same command again: finished blocks are safe",
                err=True,
            )
            sys.exit(FootfallError.exit_code)
        except _Terminated:
            click.echo(
                "footfall: told to stop; finished blocks are safe, the same command goes on",
                err=True,
            )
            sys.exit(StoppedError.exit_code)
        except KeyboardInterrupt:
            click.echo(
                "footfall: interrupted; finished blocks are safe, the same command goes on",
                err=True,
            )
            sys.exit(INTERRUPTED)
        finally:
            if signal.getsignal(signal.SIGTERM) is _terminate:  # else it is ignored to the end
                signal.signal(signal.SIGTERM, before)

    return spoken


_config = click.argument("config", type=click.Path(path_type=Path))
_run = click.argument("run")
_scenario = click.option("--scenario", help="Scenario to show; the first one if not given.")
_draws = click.option("--draws", type=click.IntRange(min=1), help="Draws a year, in all.")


def _cluster_options(verb: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--workers", type=click.IntRange(min=1), help="Tasks at once; one a core."),
        click.option("--executor", type=click.Choice([e.value for e in Executor])),
        click.option(
            "--cluster", "profile", type=click.Path(path_type=Path), help="A cluster profile, TOML."
        ),
    ):
        verb = option(verb)
    return verb


def _tolerance_options(verb: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option(
            "--max-draws",
            type=click.IntRange(min=1),
            help="With --until-tolerance: never more; "
            f"{studies.MOST} times the first look if not given.",
        ),
        click.option(
            "--digits",
            type=click.IntRange(1, 2),
            help="With --until-tolerance: digits of its uncertainty to which a change is to be "
            "known, 1 if not given; 2 take up to a hundred times as many draws.",
        ),
        click.option(
            "--until-tolerance",
            is_flag=True,
            help="Double the draws until every yearly change is settled: its verdict, and the "
            "digits of its uncertainty (JCGM 101:2008, 7.9). --draws is then the number at the "
            "first look. Workers stay from the first look to the last.",
        ),
    ):
        verb = option(verb)
    return verb


def _refuse_loose(until_tolerance: bool, digits: int | None, max_draws: int | None) -> None:
    for name, given in (("--digits", digits), ("--max-draws", max_draws)):
        if given is not None and not until_tolerance:
            raise click.UsageError(f"{name} belongs to --until-tolerance, which is not given")


def _shown_as(verb: Callable[..., None]) -> Callable[..., None]:
    """How a table of changes is shown, and at which confidence and power."""
    forms = click.Choice(["text", "csv", "json"])
    for option in (
        click.option(
            "--all-parts", is_flag=True, help="Every part of the footprint, also in text."
        ),
        click.option("--all-pairs", is_flag=True, help="Every pair of years, also in the text."),
        click.option("--power", type=float, help="Power of the minimum detectable change."),
        click.option("--alpha", type=float, help="Two-sided error level instead of the stated."),
        click.option("--format", "form", type=forms, default="text"),
    ):
        verb = option(verb)
    return verb


def _fraction(alpha: float | None) -> float | None:
    if alpha is not None and not 0 < alpha < 0.5:
        raise click.BadParameter(f"{alpha:g} is not a fraction; 0.05 is 5 %", param_hint="--alpha")
    return alpha


@click.group()
@click.version_option(package_name="footfall")
def main() -> None:
    """Is the footprint falling? Uncertainty of footprint estimates, and of their changes."""


@main.command()
@_config
@_speaks_plainly
def check(config: Path) -> None:
    """Validate a configuration and its tables; name what is wrong."""
    for line in workflow.check(load_config(config)):
        click.echo(line)
    click.echo("nothing stands in the way of a run")


@main.command()
@_config
@_draws
@_cluster_options
@click.option("--scaling", is_flag=True, help="Also time and core-hours on 1 to 1,000 workers.")
@_speaks_plainly
def plan(
    config: Path,
    draws: int | None,
    executor: str | None,
    workers: int | None,
    profile: Path | None,
    scaling: bool,
) -> None:
    """Predict memory, disk, time and core-hours; run nothing, refuse what cannot fit."""
    loaded = load_config(config)
    cluster = _cluster(loaded, executor, workers, profile)
    planned = workflow.plan(loaded, draws=draws, cluster=cluster, submitted=True)
    for line in planned.lines():
        click.echo(line)
    if scaling:
        click.echo("\nworkers of one thread, each as fast as one here; without waiting in a queue")
        for line in planned.scaling.table():
            click.echo(line)


@main.command()
@_config
@_scenario
@_shown_as
@_speaks_plainly
def preview(
    config: Path,
    scenario: str | None,
    form: str,
    alpha: float | None,
    power: float | None,
    all_pairs: bool,
    all_parts: bool,
) -> None:
    """The answer to first order, in seconds: no draws, and no verdicts that stand."""
    loaded = load_config(config)
    rule = workflow.overridden(loaded.detection, _fraction(alpha), power)
    click.echo(
        workflow.previewed(loaded, rule, scenario, form, all_pairs=all_pairs, all_parts=all_parts)
    )


@main.command()
@_config
@_scenario
@click.option("--format", "form", type=click.Choice(["text", "csv", "json"]), default="text")
@click.option("--alpha", type=float, help="Two-sided error level instead of the stated.")
@click.option("--power", type=float, help="Power of the minimum detectable change.")
@click.option(
    "--confirm",
    type=click.IntRange(min=1),
    metavar="N",
    help="Draw the last two years with all errors and without those of the N largest entries, "
    "and compare what is left of sigma.",
)
@click.option("--draws", type=click.IntRange(min=2), help="With --confirm: of each, 1024.")
@_speaks_plainly
def budget(
    config: Path,
    scenario: str | None,
    form: str,
    alpha: float | None,
    power: float | None,
    confirm: int | None,
    draws: int | None,
) -> None:
    """Where the uncertainty of changes comes from, and what better data would buy; no run."""
    if draws is not None and confirm is None:
        raise click.UsageError("--draws belongs to --confirm, which is not given")
    loaded = load_config(config)
    if confirm is not None:
        confirmed = freezing.confirm(loaded, confirm, draws or freezing.DRAWS, scenario)
        click.echo(freezing.rows_as(confirmed, form))
        return
    rule = workflow.overridden(loaded.detection, _fraction(alpha), power)
    click.echo(workflow.budgeted(loaded, rule, scenario, form))


@main.command()
@_config
@click.option(
    "--output", help="Run folder, also s3://bucket/folder; runs/<config name> if not given."
)
@_draws
@_tolerance_options
@_cluster_options
@_speaks_plainly
def run(
    config: Path,
    output: str | None,
    draws: int | None,
    until_tolerance: bool,
    digits: int | None,
    max_draws: int | None,
    executor: str | None,
    workers: int | None,
    profile: Path | None,
) -> None:
    """Run, resume or extend; Ctrl-C leaves a run that the same command goes on with."""
    _refuse_loose(until_tolerance, digits, max_draws)
    loaded = load_config(config)
    cluster = _cluster(loaded, executor, workers, profile)
    if until_tolerance:
        _run_until(loaded, output, draws, digits or 1, max_draws, cluster)
        return
    planned = workflow.plan(loaded, draws=draws, cluster=cluster)
    asked, made = draws or loaded.draws_asked, planned.sampling.draws
    if asked != made:
        whole = f"whole blocks of {planned.sampling.block}"
        click.echo(f"{asked} draws are rounded up to {made}, {whole}")
    click.echo(planned.summary())
    with _shown() as listener:
        done = workflow.run(
            loaded, output, draws=draws, cluster=cluster, listener=listener, teller=click.echo
        )
    click.echo(f"complete: {done.folder}")


def _run_until(
    config: Config,
    output: str | None,
    draws: int | None,
    digits: int,
    most: int | None,
    cluster: Profile,
) -> None:
    looks = studies.schedule(config, output, draws, most)
    planned = workflow.plan(config, draws=looks[0], cluster=cluster)
    click.echo(f"first look: {planned.summary()}")
    click.echo(f"at most:    {planned.extended(looks[-1]).summary()}")
    click.echo(
        f"looks at {', '.join(map(str, looks))} draws, until every verdict is decided and "
        f"{studies.known(digits)}"
    )

    def say(look: studies.Look) -> None:
        for line in look.lines():
            click.echo(line)

    with _shown() as listener:
        done = studies.run_until(
            config,
            output,
            digits=digits,
            first=draws,
            most=most,
            cluster=cluster,
            listener=listener,
            watcher=say,
            teller=click.echo,
        )
    click.echo(f"complete: {done.folder}")


def _cluster(
    config: Config, executor: str | None, workers: int | None, profile: Path | None = None
) -> Profile:
    chosen = config.cluster if profile is None else load_profile(profile)
    if executor is not None:
        if not isinstance(chosen, ClusterSpec):
            raise click.UsageError("--executor is for this machine, the profile names a cluster")
        chosen = ClusterSpec(Executor(executor), chosen.workers, chosen.dashboard)
    return chosen if workers is None else with_workers(chosen, workers)


@contextmanager
def _shown() -> Iterator[Callable[[RunProgress], None]]:
    """A progress bar on a terminal, a line every ten seconds elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("drawing", total=None, state="")

        def listener(progress: RunProgress) -> None:
            bar.update(task, total=progress.total, completed=progress.done, state=_state(progress))
            if progress.computed == 0 and progress.dashboard:
                console.print(f"dashboard: {progress.dashboard}")

        yield listener


class _Lines:
    """Progress for logs."""

    def __init__(self) -> None:
        self._spoke = -math.inf

    def __call__(self, progress: RunProgress) -> None:
        if progress.computed == 0 and progress.dashboard:
            click.echo(f"dashboard: {progress.dashboard}", err=True)
        now = time.monotonic()
        if now - self._spoke >= 10 or progress.done == progress.total:
            self._spoke = now
            click.echo(f"{progress.done}/{progress.total} draws  {_state(progress)}", err=True)


def _state(progress: RunProgress) -> str:
    if progress.rate == 0:
        return "starting the workers"
    left = round(progress.seconds_left)
    return f"{progress.rate:.0f} draws/s, {left // 60}:{left % 60:02d} left"


@main.command()
@_config
@click.option(
    "--cluster", "profile", type=click.Path(path_type=Path), help="A cluster profile, TOML."
)
@click.option("--output", help="Run folder or URL; runs/<config name>.")
@_draws
@_tolerance_options
@click.option("--workers", type=click.IntRange(min=1), help="Instead of the profile's.")
@click.option("--dry-run", is_flag=True, help="Print what would be sent, and send nothing.")
@_speaks_plainly
def submit(
    config: Path,
    profile: Path | None,
    output: str | None,
    draws: int | None,
    until_tolerance: bool,
    digits: int | None,
    max_draws: int | None,
    workers: int | None,
    dry_run: bool,
) -> None:
    """Send the run to a batch system and return; the same command resumes it."""
    _refuse_loose(until_tolerance, digits, max_draws)
    loaded = load_config(config)
    profile = profile or loaded.profile
    if profile is None:
        raise click.UsageError("name a cluster profile with --cluster")
    numbers = {
        "--draws": draws, "--digits": digits, "--max-draws": max_draws, "--workers": workers
    }  # fmt: skip
    arguments = ["--until-tolerance"] if until_tolerance else []
    for name, number in numbers.items():
        arguments += [] if number is None else [name, str(number)]
    cluster = _cluster(loaded, None, workers, profile)
    first = studies.schedule(loaded, output, draws, max_draws)[0] if until_tolerance else draws
    send = workflow.dry_run if dry_run else workflow.submit_run
    for line in send(loaded, cluster, profile, output, draws=first, arguments=tuple(arguments)):
        click.echo(line)


@main.command()
@_config
@click.option("--output", help="Folder; runs/<name>-operating.")
@click.option("--worlds", type=click.IntRange(min=2), default=studies.WORLDS, show_default=True)
@click.option("--draws", type=click.IntRange(min=2), default=studies.DRAWS, show_default=True)
@click.option(
    "--changes",
    default=",".join(f"{100 * change:g}" for change in studies.CHANGES),
    show_default=True,
    help="True changes in percent, separated by commas; the minimum detectable fall is added.",
)
@click.option("--years", type=int, nargs=2, help="The two years; the last two if not given.")
@click.option("--truth", help="Scenario that the worlds draw errors from; all if not given.")
@click.option("--believed", help="Scenario that the engine believes in; all if not given.")
@click.option("--stressor", help="One of the configuration's; all if not given.")
@click.option("--consumer", help="One of the configuration's; all if not given.")
@_cluster_options
@_speaks_plainly
def characterise(
    config: Path,
    output: str | None,
    changes: str,
    executor: str | None,
    workers: int | None,
    profile: Path | None,
    **asked: Any,
) -> None:
    """How often verdicts are right, in simulated worlds: false positives, power, coverage."""
    loaded = load_config(config)
    sizes = studies.percentages(changes)
    cluster = _cluster(loaded, executor, workers, profile)
    with _shown() as listener:
        found = studies.characterise(
            loaded, output, changes=sizes, cluster=cluster, listener=listener, **asked
        )
    click.echo(str(found))
    click.echo(f"rates and figures: {found.folder}")


@main.command()
@click.argument("database", required=False)
@click.option("--years", help="Such as 2010-2021, or 2010,2015; not needed where one file has all.")
@click.option(
    "--release", help="Edition and classification, as --list has them; the first if not given."
)
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    help="Folder for the files; DATABASE-RELEASE here if not given.",
)
@click.option("--list", "listed", is_flag=True, help="Every database, release and licence.")
@click.option("--accept-licence", is_flag=True, help="The licence has been read; do not ask.")
@_speaks_plainly
def fetch(
    database: str | None,
    years: str | None,
    release: str | None,
    to: Path | None,
    listed: bool,
    accept_licence: bool,
) -> None:
    """Download a publisher's files, where that takes no login; broken off, it goes on."""
    if listed or database is None:
        for line in fetching.listing():
            click.echo(line)
        return
    whose, chosen = fetching.release(database, release)
    files = fetching.wanted(chosen, _years(years), whose.name)
    for line in fetching.terms(whose, chosen):
        click.echo(line)
    if not accept_licence:
        text = fetching.licence_text(whose, chosen)
        click.echo_via_pager(text or "its text is not plain text, or cannot be had: read it there")
        click.confirm("do you accept these terms?", abort=True)
    folder = to or Path(f"{whose.name}-{chosen.name}")
    with _shown_bytes() as progress:
        for line in fetching.fetch(files, folder, f"{whose.name} {chosen.name}", progress):
            click.echo(line)
    click.echo(f"in {folder}, with their checksums in SHA256SUMS")
    if chosen.by_hand:
        click.echo(f"to be downloaded by hand: {chosen.by_hand}")


def _years(text: str | None) -> list[int]:
    """Years as ranges or a list; none where none are given."""
    found: list[int] = []
    for part in [] if text is None else text.split(","):
        match = re.fullmatch(r"([0-9]{4})(?:-([0-9]{4}))?", part.strip())
        if match is None:
            raise click.BadParameter(f"{text!r} is not such as 2010-2021", param_hint="--years")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise click.BadParameter(f"{part!r} ends before it begins", param_hint="--years")
        found += range(first, last + 1)
    return sorted(set(found))


@contextmanager
def _shown_bytes() -> Iterator[Callable[[str, int, int | None], None]]:
    """Bytes of the file that is coming: a bar on a terminal, a line every ten seconds elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _ByteLines()
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, TaskID] = {}

        def progress(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total)
            bar.update(tasks[name], completed=done, total=total)

        yield progress


class _ByteLines:
    """Progress of a download for logs."""

    def __init__(self) -> None:
        self._spoke = time.monotonic()

    def __call__(self, name: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now - self._spoke >= 10:
            self._spoke = now
            whole = "" if total is None else f" of {total / 1e6:.0f}"
            click.echo(f"{name}: {done / 1e6:.0f}{whole} MB", err=True)


@main.command()
@_run
@_scenario
@click.option("--verify", is_flag=True, help="Read every block again and compare its checksum.")
@_speaks_plainly
def status(run: str, scenario: str | None, verify: bool) -> None:
    """Blocks done, missing and failed; with --verify, damaged ones found and marked missing."""
    for line in workflow.status(workflow.folder_of(run), scenario, verify=verify):
        click.echo(line)


@main.command()
@_run
@_scenario
@_speaks_plainly
def logs(run: Path, scenario: str | None) -> None:
    """Why blocks failed: each one's reason, and the log of the worker that tried it."""
    for line in workflow.logs(workflow.folder_of(run), scenario):
        click.echo(line)


@main.command()
@_run
@_scenario
@click.option("--format", "form", type=click.Choice(["text", "csv", "json"]), default="text")
@click.option("--alpha", type=float, help="Two-sided error level instead of the run's own.")
@click.option("--power", type=float, help="Power of the minimum detectable change.")
@click.option("--all-pairs", is_flag=True, help="Every pair of years, also in the text.")
@click.option("--all-parts", is_flag=True, help="Every part of the footprint, also in the text.")
@click.option(
    "--by",
    type=click.Choice(["origin", "industry", "product"]),
    help="What each origin, industry or product contributes, if the configuration asked for it.",
)
@click.option("--table", help="One table alone: changes, or another that the text shows.")
@_speaks_plainly
def detect(
    run: str,
    scenario: str | None,
    form: str,
    alpha: float | None,
    power: float | None,
    all_pairs: bool,
    all_parts: bool,
    by: str | None,
    table: str | None,
) -> None:
    """The table of verdicts: which changes are detectable, and how small a change could be seen."""
    if by and all_parts:
        raise click.UsageError("--by shows contributions and --all-parts parts; give one of them")
    found = workflow.open_run(workflow.folder_of(run))
    rule = workflow.rule_of(found, _fraction(alpha), power)
    text = workflow.detect(
        found, rule, scenario, form, all_pairs=all_pairs, all_parts=all_parts, by=by, table=table
    )
    click.echo(text)


@main.command()
@_run
@_scenario
@click.option("--output", help="Local folder; RUN/report-<scenario>.")
@click.option(
    "--names",
    type=click.Path(path_type=Path),
    help="TOML file whose table [names] says what codes are called; the run's own if not given.",
)
@_speaks_plainly
def report(run: str, scenario: str | None, output: str | None, names: Path | None) -> None:
    """One self-contained HTML page with figures, their data beside it."""
    called = None if names is None else load_names(names)
    found = workflow.open_run(workflow.folder_of(run))
    click.echo(f"report: {workflow.report(found, scenario, output, names=called)}")


if __name__ == "__main__":
    main()
