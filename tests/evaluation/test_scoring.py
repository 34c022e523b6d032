"""Drawing of samples piece by piece, and their features."""

import tracemalloc

import numpy as np
import pytest
from stages import PARAMS

from pipeline.evaluation import scoring
from pipeline.evaluation.extractors import in_domain
from pipeline.evaluation.process_group import ProcessGroup
from pipeline.evaluation.reference import Reference
from pipeline.models.storage import Model
from pipeline.params import EvaluateParams, FeaturesParams

SETTINGS = EvaluateParams(samples=700, reconstructions=10)


@pytest.fixture(scope="module")
def drawn_from(toy, tmp_path_factory):
    """Return a model, and the folder of a fitted extractor."""
    folder = tmp_path_factory.mktemp("features")
    settings = FeaturesParams(**PARAMS["features"] | {"epochs": 1, "width": 8, "dimensions": 8})
    in_domain.fit(toy.items(64), None, 1, toy.spec, settings, seed=0).save(folder)
    return Model(toy.family("vae").requires_grad_(False).eval(), toy.content, toy.about("vae")), folder


def test_samples_and_their_features_do_not_depend_on_the_size_of_pieces(drawn_from, monkeypatch):
    model, folder = drawn_from
    whole = scoring.draw(model, folder, SETTINGS, 0, ProcessGroup())
    monkeypatch.setattr(scoring, "PIECE", 256)
    shares = []
    parts = scoring.draw(model, folder, SETTINGS, 0, ProcessGroup(), shares.append)
    assert whole.shape == (700, 8)
    assert np.array_equal(whole, parts)
    assert shares == [256 / 700, 512 / 700, 1]


def test_a_process_without_a_part_in_the_last_piece_still_joins(drawn_from, monkeypatch):
    model, folder = drawn_from
    monkeypatch.setattr(scoring, "PIECE", 256)
    whole, rounds = scoring.draw(model, folder, SETTINGS, 0, ProcessGroup()), []

    class Second(ProcessGroup):
        """The second of two processes, which records its rows in each round."""

        def join(self, rows, n, chunk):
            rounds.append(rows)
            return np.zeros((n, rows.shape[1]), np.float32)

    scoring.draw(model, folder, SETTINGS, 0, Second(1, 2))
    assert [len(rows) for rows in rounds] == [256, 0]
    assert np.array_equal(rounds[0], whole[256:512])


def test_memory_does_not_grow_with_the_features_of_the_samples(monkeypatch, tmp_path):
    monkeypatch.setattr("pipeline.evaluation.metrics.features.BLOCK", 2**16)
    monkeypatch.setattr(scoring, "PAIRWISE", 100)
    rng, (n, d) = np.random.default_rng(0), (50_000, 32)
    few = rng.normal(size=(200, d)).astype(np.float32)
    on_disk = np.memmap(tmp_path / "features", np.float32, "w+", shape=(n, d))
    on_disk[:] = rng.normal(size=(n, d))
    tracemalloc.start()
    try:
        scoring._distances("fid", "in_domain", Reference(few, few, np.arange(200)), on_disk, 0)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < on_disk.nbytes
