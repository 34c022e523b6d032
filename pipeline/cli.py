"""The command `pipeline`: the verbs that a person uses."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from pipeline import errors
from pipeline.errors import ArtefactError, UserError


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
    from PIL import Image

    from pipeline.rng import SEEDS

    if words.n < 1 or not 0 <= words.seed < SEEDS:
        raise UserError(
            f"-n is {words.n} and --seed is {words.seed}; -n must be at least 1, --seed from 0 to {SEEDS - 1}"
        )
    if words.out and words.out.suffix and Image.registered_extensions().get(words.out.suffix.lower()) not in Image.SAVE:
        raise UserError(
            f"--out is {words.out}; its ending must be that of a picture, as in samples.png, or none for a folder"
        )
    from pipeline import gallery, models

    with tempfile.TemporaryDirectory() as temporary:
        model = models.load(_folder(words.model, Path(temporary)))
    content = model.content
    out = words.out or Path(gallery.place(content))
    raws = content.decode(model.sample(words.n, words.seed))
    try:
        (out.parent if out.suffix else out).mkdir(parents=True, exist_ok=True)
        if out.suffix:
            content.show(raws, columns=round(words.n**0.5)).save(out)
        else:
            gallery.write(content, raws, out)
    except OSError as error:
        raise UserError(f"--out is {out}, which cannot be written ({error})") from error
    _say(f"{words.n} samples of {words.model} (seed {words.seed}) are in {out}")


def _folder(model: str, temporary: Path) -> Path:
    """Return the folder of a model, fetched into `temporary` where it is a models:/ URI."""
    if model.startswith("models:/"):
        from pipeline import registry, tracking

        return registry.download(tracking.connect(), model, temporary)
    if not Path(model).is_dir():
        raise ArtefactError(f"{model} is no folder; give a model folder, such as model, or models:/NAME@challenger")
    return Path(model)


def _summary(_: argparse.Namespace) -> None:
    from pipeline import artefacts, gallery, project
    from pipeline.artefacts import PreparedData, SavedModel
    from pipeline.card import MEANINGS
    from pipeline.lineage import Registered

    workspace = project.workspace()
    data = PreparedData.open(workspace)
    about = SavedModel.read(workspace / artefacts.MODEL)
    scores = artefacts.scores(workspace)
    version = Registered.read(workspace)
    counts = data.about["counts"]
    uri = f"models:/{version.name}/{version.version}"
    _say(f"\nMade   a {about.family} of {data.about['source']}, trained on {counts['train']} items")
    _say(f"       version {version.version} of the registered model {version.name}, run {version.run_id}")
    _say(f"Scores on {counts['test']} items of test, with intervals of 95 %")
    for name, meaning in MEANINGS.items():
        if name in scores:
            bounds = [f"{scores[name + end]:.4g}" for end in ("_low", "_high") if name + end in scores]
            _say(f"       {name:20} {scores[name]:<9.4g} {' to '.join(bounds):18} {meaning}")
    _say("Look   reports/evaluate/report.html        scores, pictures and curves on one page")
    _say("       make ui            runs, curves and pictures in MLflow, at the address that it says")
    _say("       dvc plots show     curves and pictures in one page")
    _say(f"       pipeline sample {uri} -n 64 --seed 0 --out {gallery.place(data.content)}")


def _ui(words: argparse.Namespace) -> None:
    from pipeline import tracking

    tracking.serve(words.port)


def _compare(words: argparse.Namespace) -> None:
    from pipeline import comparing

    _say(comparing.compare(words.a, words.b, words.out))


def _promote(words: argparse.Namespace) -> None:
    if words.force != bool(words.reason):
        raise UserError("--force and --reason belong together: say why the gate is passed over")
    from pipeline import promoting

    sys.exit(promoting.promote(words.target, words.reason))


def _rollback(words: argparse.Namespace) -> None:
    from pipeline import promoting

    promoting.rollback(words.name, words.reason)


def _history(words: argparse.Namespace) -> None:
    from pipeline import promoting

    promoting.history(words.name)


def _leaderboard(words: argparse.Namespace) -> None:
    from pipeline import promoting

    promoting.show(words.name, words.json)


def _reproduce(words: argparse.Namespace) -> None:
    from pipeline import reproducing

    sys.exit(reproducing.reproduce(words.version, words.keep))


def _doctor(words: argparse.Namespace) -> None:
    from pipeline import doctor, project
    from pipeline.doctor import trainings

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
