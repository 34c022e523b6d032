"""`promote`, `rollback`, `history` and `leaderboard` on versions that the real pipeline made."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from workspace import ENV, NAME, attempt, client, do, edit

pytestmark = pytest.mark.slow

FETCH = """
import sys
from pathlib import Path
from pipeline import tracking
from pipeline.registry import versions
versions.download(tracking.connect(), sys.argv[1], Path(sys.argv[2]))
"""


@pytest.fixture
def place(vae, toggled, tmp_path):
    """A copy of a workspace with a version of each family; the GAN's is the challenger."""
    left = shutil.ignore_patterns("mlartifacts", ".pipeline", "tmp", "cache")
    copy = Path(shutil.copytree(vae, tmp_path / "copy", ignore=left, symlinks=True))
    client(copy).set_registered_model_alias(NAME, "challenger", "2")
    return copy


def aliases(place):
    found = client(place).get_registered_model(NAME).aliases
    return {alias: str(version) for alias, version in found.items() if alias != "challenger"}


def crown(place, version):
    """Make a version the champion by force."""
    do(place, "pipeline", "promote", f"{NAME}/{version}", "--force", "--reason", "to begin with")


def test_first_champion_is_the_best_of_all_and_an_equal_version_does_not_replace_it(place):
    rows = json.loads(do(place, "pipeline", "leaderboard", "--json"))
    assert [row["value"] for row in rows] == sorted(row["value"] for row in rows)
    assert {row["version"]: row["aliases"] for row in rows} == {"1": [], "2": ["challenger"]}
    best, worst = (row["version"] for row in rows)
    assert not rows[1]["undecided"]
    done = attempt(place, "pipeline", "promote", f"models:/{NAME}/{worst}")
    assert done.returncode == 4
    assert f"version {best} is better: fid_in_domain is better" in done.stdout
    done = attempt(place, "pipeline", "promote", f"models:/{NAME}/{best}")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"promoted: version {best} of {NAME}")
    assert aliases(place) == {"champion": best}
    assert "already" in do(place, "pipeline", "promote", f"{NAME}/{best}")
    one = client(place).get_model_version(NAME, best)
    source = client(place).get_model_version_download_uri(NAME, best)
    same = client(place).create_model_version(NAME, source, one.run_id, tags=one.tags)
    client(place).set_registered_model_alias(NAME, "challenger", same.version)
    done = attempt(place, "pipeline", "promote", NAME)
    assert done.returncode == 3
    assert done.stdout.startswith(f"undecided: version {same.version} of {NAME} against champion {best}")
    assert aliases(place) == {"champion": best}
    output = do(place, "pipeline", "leaderboard", NAME).splitlines()
    assert max(map(len, output)) <= 100
    (marked,) = [line.split()[1] for line in output[:-1] if line.startswith("*")]
    assert marked in (best, str(same.version))
    assert output[-1].startswith("* cannot be distinguished from the best")


def test_a_commit_whose_model_is_in_no_cache_is_one_line(place):
    done = attempt(place, "pipeline", "promote", "HEAD")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "model.json of HEAD cannot be fetched" in done.stderr


def test_the_model_of_the_workspace_is_the_challenger_again_and_runs_and_experiments_are_found(vae, place, toggled):
    do(place, "dvc", "cache", "dir", "--local", str(vae / ".dvc/cache"))
    for number, name in (("1", toggled["first"]), ("2", toggled["second"]), ("1", "HEAD")):
        assert f"version {number} of {NAME}" in attempt(place, "pipeline", "promote", name).stdout
    assert str(client(place).get_registered_model(NAME).aliases["challenger"]) == "2"
    assert f"version 1 of {NAME}" in attempt(place, "pipeline", "promote").stdout
    assert str(client(place).get_registered_model(NAME).aliases["challenger"]) == "1"


def test_challenger_beyond_a_limit_is_refused_unless_a_person_gives_a_reason_and_can_be_taken_back(place):
    crown(place, 2)
    client(place).set_registered_model_alias(NAME, "challenger", "1")
    edit(place, {"gate.at_most": {"fid_in_domain": 1e-6}})
    done = attempt(place, "pipeline", "promote")
    assert done.returncode == 4
    assert "above its limit" in done.stdout
    assert aliases(place) == {"champion": "2"}
    do(place, "pipeline", "promote", "--force", "--reason", "to try it")
    assert aliases(place) == {"champion": "1", "previous": "2"}
    do(place, "pipeline", "rollback", NAME, "--reason", "it was no good")
    assert aliases(place) == {"champion": "2", "previous": "1"}
    output = do(place, "pipeline", "history", NAME)
    for part in ("none -> 2", "2 -> 1", "1 -> 2", "to try it", "it was no good", "forced, the gate said refused"):
        assert part in output


def test_champion_is_challenged_on_the_evidence_of_both(place):
    crown(place, 2)
    client(place).set_registered_model_alias(NAME, "challenger", "1")
    done = attempt(place, "pipeline", "promote")
    word, code = done.stdout.partition(":")[0], done.returncode
    assert {"promoted": 0, "undecided": 3, "refused": 4}[word] == code
    assert "fid_in_domain is" in done.stdout or "reconstruction_loss is" in done.stdout
    assert aliases(place) == ({"champion": "1", "previous": "2"} if code == 0 else {"champion": "2"})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["promote", "nothing"], "is not a registered model"),
        (["history", "nothing"], "is not a registered model"),
        (["rollback", "--reason", "x"], "no previous champion"),
        (["promote", "--force"], "--reason"),
        (["promote", "--reason", "x"], "--force"),
    ],
)
def test_an_impossible_request_is_one_line(place, words, message):
    done = attempt(place, "pipeline", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


def test_model_whose_files_were_changed_is_not_promoted_whatever_the_reason(place, tmp_path):
    base = client(place)
    one = base.get_model_version(NAME, "2")
    model = tmp_path / "changed"
    do(place, "python", "-c", FETCH, f"models:/{NAME}/2", str(model))
    weights = model / "data/model/weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    changed = base.create_model_version(NAME, model.as_uri(), one.run_id, tags=one.tags)
    base.set_registered_model_alias(NAME, "challenger", changed.version)
    done = attempt(place, "pipeline", "promote", NAME, "--force", "--reason", "please")
    assert done.returncode == 2
    assert "weights.safetensors" in done.stderr
    assert aliases(place) == {}


def test_of_two_promotions_at_once_one_wins_and_the_other_reports_it(place):
    words = ["pipeline", "promote", NAME, "--force", "--reason", "both at once"]
    both = [
        subprocess.Popen(words, cwd=place, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in both]
    assert sorted(process.returncode for process in both) in ([0, 2], [0, 0])
    assert sum(out.startswith("promoted") for out, _ in outputs) == 1
    assert any("moved meanwhile" in err or "already" in out for out, err in outputs)
    assert aliases(place) == {"champion": "2"}
    tags = client(place).get_registered_model(NAME).tags
    (entry,) = [json.loads(tags[name]) for name in tags if name.startswith("ledger.0")]
    assert entry["who"].partition("@")[0] == os.environ.get("USER", entry["who"].partition("@")[0])
