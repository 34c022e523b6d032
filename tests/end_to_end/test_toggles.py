"""Every param is changed and changed back in one workspace: DVC never restores outs of another value."""

import json
import re

import numpy as np
import pytest
import soundfile
import yaml
from params_files import fields
from PIL import Image
from stages import filled
from workspace import do, edit, own_copy, ran, read

from pipeline.data.prepared import PreparedData
from pipeline.params import Params, flatten

pytestmark = pytest.mark.slow

SMALL = {
    "prepare.source": "pictures",
    "prepare.split": {"train": 0.5, "val": 0.2, "test": 0.3},
    "image.side": 16,
    "train.batch_size": 30,
    "evaluate.samples": 100,
    "evaluate.reconstructions": 10,
}
BASES = {
    "image": {},
    "vae": {},
    "gan": {"family": "gan"},
    "audio": {"content": "audio", "prepare.source": "sounds", "audio.seconds": 0.5, "audio.mels": 16},
    "text": {"content": "text", "prepare.source": "texts", "text.length": 32},
    "code": {"content": "code", "prepare.source": "sources", "code.length": 32},
    "register": {"register.name": "first"},
}
"""Params that are set while those of a section are changed."""
FAMILY = {"latent_dim": 6, "width": 8, "blocks": 1, "learning_rate": 0.01}
TOKENS = {"length": 48, "vocabulary": "bpe", "vocabulary_size": 300, "most": 110}
VALUES = {
    "seed": 1,
    "content": "text",
    "family": "gan",
    "prepare": {
        "source": "others",
        "split": {"train": 0.4, "val": 0.3, "test": 0.4},
        "max_rejected": 0.5,
        "max_file_mib": 10,
        "follow_links": True,
    },
    "image": {"side": 20, "channels": 3, "value_range": [0.0, 4095.0]},
    "audio": {"seconds": 0.25, "rate": 11025, "mels": 20, "loudness": "peak"},
    "text": TOKENS | {"field": "body"},
    "code": TOKENS | {"suffix": ".js"},
    "features": {
        "extractor": "inception",
        "epochs": 2,
        "width": 16,
        "dimensions": 8,
        "weights": "data/weights/random.pth",
        "precision": "bfloat16",
    },
    "vae": FAMILY
    | {
        "beta": 0.5,
        "warmup": 0.5,
        "likelihood": "logistic",
        "prior": "normal",
        "components": 3,
        "tokens": {"context": 4, "word_dropout": 0.25, "free_bits": 0.5, "temperature": 0.5},
    },
    "gan": FAMILY
    | {
        "critic_learning_rate": 0.01,
        "projection_steps": 3,
        "projection_starts": 2,
        "tokens": {"gradient_penalty": 0.1, "temperature": 0.5},
    },
    "train": {"epochs": 2, "batch_size": 20, "warmup_steps": 3, "cooldown": 0.5, "ema": 0.9},
    "evaluate": {"samples": 120, "reconstructions": 8},
    "register": {"name": "another"},
}
"""Another value for every param that a stage reads."""
TOGETHER = {
    "content": {"prepare.source": "texts"},
    "prepare.split.train": {"prepare.split.val": 0.3},
    "prepare.split.val": {"prepare.split.test": 0.2},
    "prepare.split.test": {"prepare.split.train": 0.4},
    "features.extractor": {"features.weights": "data/weights/random.pth", "gate.decides": ["fid_inception"]},
}
"""Params that must be changed together with another, so that the whole is valid."""
FIELDS = {path: None for path, _, _ in fields()}
READ_BY_NO_STAGE = ("gate", "runtime")
STAGES = ("prepare", "features", "train", "evaluate", "register")


def other(path):
    value = VALUES
    for name in path.split("."):
        value = value[name]
    return value


def readers(folder):
    """Return the params that each stage names in dvc.yaml, its variables filled from the workspace's params."""
    text = (folder / "dvc.yaml").read_text()
    params = Params.load(folder).model_dump(by_alias=True)
    stages = yaml.safe_load(text)["stages"]
    named = {}
    for stage in STAGES:
        each = stages[stage]["params"]
        each = each if isinstance(each[0], str) else next(iter(each[0].values()))
        named[stage] = [filled(name, params) for name in each]
    return named


def maker(path, named):
    """Return the stage whose outs record a param: the first that reads it, except for the name of a version."""
    return (
        "register" if path == "register.name" else next(stage for stage in STAGES if path.split(".")[0] in named[stage])
    )


def held(folder, stage):
    """Return the params that the outs of a stage record, flat."""
    if stage == "prepare":
        return flatten(PreparedData.open(folder).params)
    if stage == "features":
        return flatten(read(folder / "features/params.json"))
    if stage == "train":
        return flatten(read(folder / "model/model.json")["params"])
    if stage == "evaluate":
        return {f"evaluate.{name}": value for name, value in read(folder / "reports/evaluate/protocol.json").items()}
    return {"register.name": read(folder / "reports/register/version.json")["name"]}


def noticed(folder, path):
    """Return the stages for which DVC reports that a param differs from dvc.lock."""
    found = set()
    for name, changes in json.loads(do(folder, "dvc", "status", "--json")).items():
        for change in changes:
            params = change.get("changed deps", {}) if isinstance(change, dict) else {}
            listed = {key for value in params.values() if isinstance(value, dict) for key in value}
            if any(key == path or path.startswith(f"{key}.") for key in listed):
                found.add(re.split("[:@]", name)[-1])
    return found


def sources(folder):
    """Write a small source of each content, with 120 different items."""
    rng, raw = np.random.default_rng(0), folder / "data/raw"
    for name in ("pictures", "others", "sounds", "texts", "sources"):
        (raw / name).mkdir(parents=True)
    for i in range(120):
        for name in ("pictures", "others"):
            Image.fromarray(rng.integers(0, 256, (4, 4), np.uint8)).resize((20, 20), 0).save(raw / name / f"{i}.png")
        soundfile.write(raw / "sounds" / f"{i}.wav", rng.normal(0, 0.1, 6000), 8000)
        words = [" ".join("".join(map(chr, rng.integers(97, 123, 5))) for _ in range(12)) for _ in range(2)]
        line = json.dumps({"text": words[0], "body": words[1]})
        (raw / "texts" / f"{i}.jsonl").write_text(line)
        for suffix, text in zip((".py", ".js"), words, strict=True):
            code = "".join(f"{word} = {j}\n" for j, word in enumerate(text.split()))
            (raw / "sources" / f"{i}{suffix}").write_text(code)


@pytest.fixture(scope="module")
def place(fresh, store, tmp_path_factory):
    """A workspace in which every stage ran once."""
    from inception_weights import write

    folder = own_copy(fresh, store, tmp_path_factory.mktemp("toggles"))
    sources(folder)
    write(folder / "data/weights/random.pth")
    edit(folder, SMALL)
    assert ran(do(folder, "dvc", "repro")) == ["validate", *STAGES]
    return folder


def test_there_is_another_value_for_every_param_that_a_stage_reads():
    read_by_none = {path for path in FIELDS if path.split(".")[0] in READ_BY_NO_STAGE}
    assert set(flatten(VALUES)) == FIELDS.keys() - read_by_none


@pytest.mark.parametrize("path", [path for path in FIELDS if path.split(".")[0] not in READ_BY_NO_STAGE])
def test_the_outs_always_record_a_param_that_is_changed_and_changed_back(place, path):
    section = path.split(".")[0]
    base = BASES.get(section, {})
    before = {name: flatten(Params.load(place))[name] for name in base}
    edit(place, base)
    named = readers(place)
    stage = maker(path, named)
    do(place, "dvc", "repro", stage)
    old = flatten(Params.load(place))[path]
    changes = {path: other(path)} | TOGETHER.get(path, {})
    back = {name: flatten(Params.load(place))[name] for name in changes}
    assert held(place, stage)[path] == old != other(path)

    edit(place, changes)
    assert stage in noticed(place, path)
    assert stage in ran(do(place, "dvc", "repro", stage))
    assert held(place, stage)[path] == other(path)

    edit(place, back)
    # `register` always runs: the registry knows which version is the challenger, the cache does not
    assert set(ran(do(place, "dvc", "repro", stage))) <= {"validate", "register"}
    assert held(place, stage)[path] == old
    edit(place, before)


def test_params_that_no_stage_reads_run_none(place):
    do(place, "dvc", "repro")
    tree = flatten(Params.load(place))
    assert {name.split(".")[0] for name in tree} >= set(READ_BY_NO_STAGE)
    edit(place, {"runtime.checkpoint_seconds": 5, "runtime.devices": 2, "gate.must_not_fall": ["recall"]})
    assert ran(do(place, "dvc", "repro")) == ["validate"]
