from dataclasses import replace

from pipeline.tracking import context


def started(place, name, **vae):
    """Return the name of a run whose VAE has other params."""
    place.about = replace(place.about, params=place.about.params | {"vae": {"prior": "normal", "beta": 1.0} | vae})
    with place.start(name) as training:
        return place.run(training.record.run_id).info.run_name


def test_a_run_is_called_by_what_changed_since_the_run_before(place):
    assert started(place, "a") == "vae"
    assert started(place, "b", beta=2.0) == "vae.beta=2.0"
    assert started(place, "c", beta=2.0) == "vae"
    place.about = replace(place.about, params={**place.about.params, "seed": 4})
    assert started(place, "d", prior="mixture") == "seed=4, vae.prior=mixture, vae.beta=1.0"


def test_a_run_of_an_experiment_is_called_as_that(place, monkeypatch):
    started(place, "a")
    monkeypatch.setenv("DVC_EXP_NAME", "tidy-owl")
    assert started(place, "b", beta=2.0) == "tidy-owl"


def test_the_name_of_a_run_stays_short(monkeypatch):
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    before = dict.fromkeys("abcde", "0")
    called = context.name(dict.fromkeys("abcdef", "v" * 500) | {"family": "gan"}, before | {"family": "vae"})
    assert called.endswith(" and 3 more")
    assert len(called) < 120
