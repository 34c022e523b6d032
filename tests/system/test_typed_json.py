"""Every JSON file that a stage writes, changed to another type, and its readers' errors."""

import json
import shutil
from argparse import Namespace

import pytest
from described import DATASET, MACHINE, PROTOCOL

from pipeline.cli import main, reproduce
from pipeline.cli.retrain import Recipe
from pipeline.contents.base import DataSpec
from pipeline.data.prepared import PreparedData
from pipeline.evaluation import evidence, extractors
from pipeline.evaluation.extractors.in_domain import About, InDomain
from pipeline.evaluation.scores import ALWAYS_PRESENT, read_scores
from pipeline.params import Params
from pipeline.registry import champion, lineage
from pipeline.stages import evaluate, register
from pipeline.system.errors import ArtifactError
from pipeline.system.git import Revision
from pipeline.training.record import RunRecord
from pipeline.training.resume import Resumable

RUN = {"run_id": "r", "experiment": "here", "training": "t", "began": 1.0, "ended": 2.0}
VERSION = {"name": "clothes", "version": 1, "run_id": "r", "model_digest": "d"}
SPEC = DataSpec((1, 16, 16), "grid")


def write_extractor(folder):
    InDomain(About(SPEC.shape, 8, 8, 2, "labels"), SPEC).save(folder)
    return json.loads((folder / "extractor.json").read_text())


def differences(folder, toy):
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model/weights.safetensors").write_bytes(b"weights")
    toy.about("vae").write(folder / "model")
    return list(reproduce._differences(Recipe("c", toy.about("vae"), MACHINE, {}, folder), folder))


def own_name(folder, toy):
    (folder / "dvc.yaml").touch()
    return champion.own_name()


FILES = {
    "data/prepared/dataset.json": (DATASET, "counts", lambda folder, toy: PreparedData.open(folder)),
    "reports/train/run.json": (RUN, "run_id", lambda folder, toy: RunRecord.read(folder)),
    "reports/train/environment.json": (MACHINE, "runtime", differences),
    "reports/evaluate/scores.json": (
        dict.fromkeys(ALWAYS_PRESENT, 0.5),
        "memorisation",
        lambda folder, toy: read_scores(folder),
    ),
    "reports/evaluate/protocol.json": (
        PROTOCOL,
        "real",
        lambda folder, toy: evidence.protocol(folder / "reports/evaluate"),
    ),
    "reports/register/version.json": (VERSION, "name", own_name),
    "extractor.json": (write_extractor, "width", lambda folder, toy: extractors.load(folder, SPEC)),
    ".pipeline/work/a/run.json": (RUN, "training", lambda folder, toy: Resumable("a").record),
}
DEEP = "[" * 100_000 + "]" * 100_000
WRONG = {"object": "{}", "list": "[]", "text": '"x"', "null": "null", "number": "1", "deep": DEEP, "half": "{"}


def refused(path, read):
    with pytest.raises(ArtifactError, match=path.name) as caught:
        read()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    return str(caught.value)


@pytest.fixture(params=FILES)
def placed(request, toy, tmp_path, monkeypatch):
    """A file, its values, the name of one of them, and a function that reads the file."""
    tree, field, read = FILES[request.param]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    path = tmp_path / request.param
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = tree(tmp_path) if callable(tree) else tree
    path.write_text(json.dumps(tree))
    read(tmp_path, toy)
    return path, tree, field, lambda: read(tmp_path, toy)


def test_a_file_of_another_type_is_one_line_that_names_it_and_what_to_do(placed):
    path, _, _, read = placed
    remedy = "remove it" if path.parent.name == "a" else "dvc repro"
    for text in WRONG.values():
        path.write_text(text)
        assert remedy in refused(path, read)


def test_a_value_that_is_missing_or_of_another_type_is_named(placed):
    path, tree, field, read = placed
    for changed in ({**tree, field: [{}]}, {**tree, field: None}, {k: v for k, v in tree.items() if k != field}):
        path.write_text(json.dumps(changed))
        assert field in refused(path, read)


@pytest.fixture
def workspace(registered, tmp_path, monkeypatch):
    """A copy of a workspace with a registered model, in which this process runs stages."""
    folder = tmp_path / "workspace"
    shutil.copytree(registered, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_ROOT", str(folder))
    params = Params.load(folder)
    (folder / "features").mkdir()
    (folder / "features/params.json").write_text(json.dumps(params.of_features))
    return folder


def test_register_evaluate_and_summary_refuse_each_file_of_another_type(workspace):
    main._summary(Namespace())
    commands = {
        "data/prepared/dataset.json": register.main,
        "reports/evaluate/scores.json": register.main,
        "reports/evaluate/protocol.json": register.main,
        "reports/train/run.json": register.main,
        "model/model.json": lambda: main._summary(Namespace()),
        "reports/register/version.json": lambda: main._summary(Namespace()),
        "features/params.json": evaluate.main,
        "features/baselines.json": evaluate.main,
    }
    for name, command in commands.items():
        path = workspace / name
        before = path.read_bytes() if path.is_file() else None
        for text in [*WRONG.values(), '{"seed": [[]]}']:
            path.write_text(text)
            refused(path.parent, command)
        path.write_bytes(before) if before else path.unlink()


@pytest.mark.parametrize("text", [None, *WRONG.values()])
def test_an_environment_that_is_none_is_not_kept_with_a_version(tmp_path, text):
    train = tmp_path / "reports/train"
    train.mkdir(parents=True)
    (train / "run.json").write_text(json.dumps(RUN))
    if text is not None:
        (train / "environment.json").write_text(text)
    (tmp_path / "kept").mkdir()
    refused(
        train / "environment.json", lambda: lineage.collect(tmp_path, Revision("c", "main", b""), tmp_path / "kept")
    )


def test_a_ticket_that_is_none_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    work = Resumable("a")
    assert work.ticket() == work.ticket()
    for text in set(WRONG.values()) - {WRONG["text"]}:
        (work.folder / "ticket.json").write_text(text)
        refused(work.folder / "ticket.json", work.ticket)
