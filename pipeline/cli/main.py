"""The command `pipeline`: the verbs that a person uses."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pipeline.system import errors
from pipeline.system.errors import UserError


def main() -> None:
    """Run the command, to its exit code."""
    errors.run(_run)


def _run() -> None:
    words = _parser().parse_args()
    words.verb(words)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pipeline",
        description="Look at what the pipeline made. Training itself is `dvc repro` and `dvc exp run`.",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    sample = verbs.add_parser("sample", help="draw samples from a model, into a picture or into files")
    sample.add_argument("model", metavar="MODEL", help="a model folder, or models:/NAME@ALIAS or models:/NAME/VERSION")
    sample.add_argument("-n", type=int, default=64, help="how many (default: %(default)s)")
    sample.add_argument("--seed", type=int, default=0, help="same seed, same samples (default: %(default)s)")
    sample.add_argument(
        "--out",
        type=Path,
        help="a picture, such as samples.png, or a folder for a file each (default: what suits the content)",
    )
    sample.set_defaults(verb=_sample)
    summary = verbs.add_parser("summary", help="say what the last `dvc repro` made, how good it is, and where to look")
    summary.set_defaults(verb=_summary)
    ui = verbs.add_parser("ui", help="serve MLflow's UI, and say the address of the runs")
    ui.add_argument("--port", type=int, default=5000, help="(default: %(default)s)")
    ui.set_defaults(verb=_ui)
    compare = verbs.add_parser(
        "compare", help="say which of two models is better, score by score, on the same evidence"
    )
    for name in ("a", "b"):
        compare.add_argument(
            name, metavar=name.upper(), help="a workspace, commit, experiment of DVC, run id, or models:/NAME@ALIAS"
        )
    compare.add_argument(
        "--out", type=Path, default=Path("reports/compare.html"), help="the page (default: %(default)s)"
    )
    compare.set_defaults(verb=_compare)
    promote = verbs.add_parser(
        "promote", help="make a version champion if it is better; exit 3 if that is undecided, 4 if refused"
    )
    promote.add_argument(
        "target",
        nargs="?",
        metavar="VERSION",
        help="NAME for its challenger, NAME/VERSION, models:/NAME/VERSION, a run id or an experiment of DVC "
        "(default: the model of this workspace)",
    )
    promote.add_argument("--force", action="store_true", help="whatever the gate says; the reason goes on record")
    promote.set_defaults(verb=_promote)
    rollback = verbs.add_parser("rollback", help="make the previous champion champion again")
    rollback.set_defaults(verb=_rollback)
    history = verbs.add_parser("history", help="say who was champion when, and why")
    history.set_defaults(verb=_history)
    leaderboard = verbs.add_parser("leaderboard", help="list all versions of a model, the best first")
    leaderboard.add_argument("--json", action="store_true", help="for programs")
    leaderboard.set_defaults(verb=_leaderboard)
    for verb in (rollback, history, leaderboard):
        verb.add_argument("name", nargs="?", metavar="NAME", help="the registered model (default: this workspace's)")
    promote.add_argument("--reason", help="why, with --force")
    rollback.add_argument("--reason", required=True, help="why")
    reproduce = verbs.add_parser(
        "reproduce", help="train a version again in a temporary clone; exit 0 if its bytes are the same, else 1"
    )
    reproduce.add_argument("version", metavar="VERSION", help="models:/NAME@ALIAS or models:/NAME/VERSION")
    reproduce.add_argument("--keep", type=Path, metavar="DIR", help="clone into this folder, and leave it there")
    reproduce.set_defaults(verb=_reproduce)
    doctor = verbs.add_parser("doctor", help="look at the machine, the stores and what runs; exit 1 if all is not well")
    doctor.add_argument("--clean", action="store_true", help="remove the folders of old trainings in progress")
    doctor.add_argument("--days", type=float, default=7, help="what is old: untouched so long (default: %(default)s)")
    doctor.add_argument("--mark-killed", action="store_true", help="give runs whose process is gone the status KILLED")
    doctor.set_defaults(verb=_doctor)
    return parser


def _sample(words: argparse.Namespace) -> None:
    from pipeline.cli import sample

    _say(sample.sample(words.model, words.n, words.seed, words.out))


def _summary(_: argparse.Namespace) -> None:
    from pipeline.cli import summary

    _say(summary.summary())


def _ui(words: argparse.Namespace) -> None:
    from pipeline import tracking

    tracking.serve(words.port)


def _compare(words: argparse.Namespace) -> None:
    from pipeline.cli import compare

    _say(compare.compare(words.a, words.b, words.out))


def _promote(words: argparse.Namespace) -> None:
    if words.force != bool(words.reason):
        raise UserError("--force and --reason belong together: say why the gate is passed over")
    from pipeline.cli import promote

    sys.exit(promote.promote(words.target, words.reason))


def _rollback(words: argparse.Namespace) -> None:
    from pipeline.cli import promote

    promote.rollback(words.name, words.reason)


def _history(words: argparse.Namespace) -> None:
    from pipeline.cli import promote

    promote.history(words.name)


def _leaderboard(words: argparse.Namespace) -> None:
    from pipeline.cli import promote

    promote.show(words.name, words.json)


def _reproduce(words: argparse.Namespace) -> None:
    from pipeline.cli import reproduce

    sys.exit(reproduce.reproduce(words.version, words.keep))


def _doctor(words: argparse.Namespace) -> None:
    from pipeline.cli import doctor
    from pipeline.cli.doctor import trainings
    from pipeline.system import project

    workspace = project.workspace()
    if words.mark_killed:
        from pipeline import tracking

        client = tracking.connect()
        with tracking.reaching():
            found = tracking.mark_killed(client)
        for run_id in found:
            _say(f"KILLED is now the status of run {run_id}")
    if words.clean:
        old = trainings.old(words.days)
        for work in old:
            _say(f"to be removed: {trainings.described(work)}, {trainings.size(work)}")
        for work in old:
            _say(f"{'removed' if work.clear() else 'kept, since a trainer began'}: {work.folder}")
        if not old:
            _say(f"no training in progress is older than {words.days:g} days")
    well = True
    for finding in doctor.examine(workspace):
        _say(f"{'OK' if finding.ok else 'WRONG':6} {finding.name:12} {finding.text}")
        well &= finding.ok
    if not well:
        sys.exit(1)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
