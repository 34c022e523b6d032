"""The command `pipeline`: its arguments, and the dispatch to its verbs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pipeline.system import errors
from pipeline.system.errors import UserError


def main() -> None:
    """Run the command, and exit with its code."""
    errors.run(_run)


def _run() -> None:
    words = _parser().parse_args()
    words.verb(words)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pipeline",
        description="Inspect, compare and promote trained models. To train, run `dvc repro` or `dvc exp run`.",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    sample = verbs.add_parser("sample", help="draw samples from a model and save them as a picture or as files")
    sample.add_argument("model", metavar="MODEL", help="model folder, models:/NAME@ALIAS or models:/NAME/VERSION")
    sample.add_argument("-n", type=int, default=64, help="number of samples (default: %(default)s)")
    sample.add_argument(
        "--seed", type=int, default=0, help="random seed; the same seed draws the same samples (default: %(default)s)"
    )
    sample.add_argument(
        "--out",
        type=Path,
        help="picture file, such as samples.png, or folder for one file per sample (default: depends on the content)",
    )
    sample.set_defaults(verb=_sample)
    summary = verbs.add_parser("summary", help="show what the last `dvc repro` made, its scores, and where to look")
    summary.set_defaults(verb=_summary)
    ui = verbs.add_parser("ui", help="serve MLflow's UI and print the address of the runs")
    ui.add_argument("--port", type=int, default=5000, help="port to listen on (default: %(default)s)")
    ui.set_defaults(verb=_ui)
    compare = verbs.add_parser("compare", help="compare two models, score by score, on the same test items and seeds")
    for name in ("a", "b"):
        compare.add_argument(
            name, metavar=name.upper(), help="workspace, commit, DVC experiment, run id or models:/NAME@ALIAS"
        )
    compare.add_argument(
        "--out", type=Path, default=Path("reports/compare.html"), help="HTML page to write (default: %(default)s)"
    )
    compare.set_defaults(verb=_compare)
    promote = verbs.add_parser(
        "promote", help="promote a version to champion if the gate allows it; exit 3 if undecided, 4 if refused"
    )
    promote.add_argument(
        "target",
        nargs="?",
        metavar="VERSION",
        help="NAME (means its challenger), NAME/VERSION, models:/NAME/VERSION, run id or DVC experiment "
        "(default: the model of this workspace)",
    )
    promote.add_argument("--force", action="store_true", help="promote whatever the gate decides; requires --reason")
    promote.set_defaults(verb=_promote)
    rollback = verbs.add_parser("rollback", help="restore the previous champion")
    rollback.set_defaults(verb=_rollback)
    history = verbs.add_parser("history", help="list all promotions and rollbacks, with author and reason")
    history.set_defaults(verb=_history)
    leaderboard = verbs.add_parser("leaderboard", help="list all versions of a model, best first")
    leaderboard.add_argument("--json", action="store_true", help="print JSON")
    leaderboard.set_defaults(verb=_leaderboard)
    for verb in (rollback, history, leaderboard):
        verb.add_argument("name", nargs="?", metavar="NAME", help="registered model (default: that of this workspace)")
    promote.add_argument("--reason", metavar="TEXT", help="reason to record; requires --force")
    rollback.add_argument("--reason", metavar="TEXT", required=True, help="reason to record")
    reproduce = verbs.add_parser(
        "reproduce", help="retrain a version in a temporary clone; exit 0 if the bytes are the same, 1 if not"
    )
    reproduce.add_argument("version", metavar="VERSION", help="models:/NAME@ALIAS or models:/NAME/VERSION")
    reproduce.add_argument("--keep", type=Path, metavar="DIR", help="clone into this folder and keep it")
    reproduce.set_defaults(verb=_reproduce)
    doctor = verbs.add_parser(
        "doctor", help="check the machine, the stores and running trainings; exit 1 if a check fails"
    )
    doctor.add_argument("--clean", action="store_true", help="remove the folders of unfinished trainings that are old")
    doctor.add_argument(
        "--days",
        type=float,
        default=7,
        help="days of inactivity that make a training old (default: %(default)s)",
    )
    doctor.add_argument(
        "--mark-killed", action="store_true", help="set the status of runs whose process is dead to KILLED"
    )
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
        raise UserError("--force and --reason belong together; give both or neither")
    from pipeline.cli import promote

    text, code = promote.promote(words.target, words.reason)
    _say(text)
    sys.exit(code)


def _rollback(words: argparse.Namespace) -> None:
    from pipeline.cli import rollback

    _say(rollback.rollback(words.name, words.reason))


def _history(words: argparse.Namespace) -> None:
    from pipeline.cli import history

    _say(history.history(words.name))


def _leaderboard(words: argparse.Namespace) -> None:
    from pipeline.cli import leaderboard

    _say(leaderboard.show(words.name, words.json))


def _reproduce(words: argparse.Namespace) -> None:
    from pipeline.cli import reproduce

    sys.exit(reproduce.reproduce(words.version, words.keep))


def _doctor(words: argparse.Namespace) -> None:
    from pipeline.cli import doctor
    from pipeline.cli.doctor import runs, trainings
    from pipeline.system import project

    workspace = project.workspace()
    if words.mark_killed:
        for line in runs.mark_killed():
            _say(line)
    if words.clean:
        for line in trainings.clean(words.days):
            _say(line)
    well = True
    for finding in doctor.examine(workspace):
        _say(f"{'OK' if finding.ok else 'WRONG':6} {finding.name:12} {finding.text}")
        well &= finding.ok
    if not well:
        sys.exit(1)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
