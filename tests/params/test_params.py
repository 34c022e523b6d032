import typing

import annotated_types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from params_files import NUMBERS, ROOT, SHIPPED, changed, fields, load, refused

from pipeline.params import Params, flatten
from pipeline.params.sections import Section
from pipeline.system.errors import ParamsError
from pipeline.system.validation import RENAMED


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("params")


def test_the_parameters_that_are_shipped_are_allowed():
    assert Params.load(ROOT).seed == SHIPPED["seed"]


@pytest.mark.parametrize("path", NUMBERS)
def test_no_number_is_without_a_lower_and_an_upper_bound(path):
    kinds = {type(bound) for bound in NUMBERS[path][1]}
    assert kinds & {annotated_types.Ge, annotated_types.Gt}
    assert kinds & {annotated_types.Le, annotated_types.Lt}


def limits(bounds):
    """Return the lower and the upper bound, each with the name of its kind."""
    found = {
        name: getattr(bound, name) for bound in bounds for name in ("ge", "gt", "le", "lt") if hasattr(bound, name)
    }
    return sorted(found.items())


@settings(max_examples=80, deadline=None)
@given(path=st.sampled_from(sorted(NUMBERS)), above=st.booleans(), data=st.data())
def test_a_number_out_of_its_bounds_is_refused_with_its_path_and_value(folder, path, above, data):
    kind, bounds = NUMBERS[path]
    edge = limits(bounds)[above][1]
    step = data.draw(st.integers(1, 10**5).map(lambda n: 16 * n) if kind is int else st.floats(0.5, 1e6))
    value = kind(edge + step if above else edge - step)
    said = refused(folder, changed(path, value))
    assert f"{path} is {value!r}" in said
    assert ("less than" if above else "greater than") in said


@pytest.mark.parametrize("path", [path for path in NUMBERS if not path.startswith("prepare.split")])
def test_a_number_at_a_bound_that_is_allowed_is_taken_and_one_at_an_open_bound_is_not(folder, path):
    kind, bounds = NUMBERS[path]
    for name, edge in limits(bounds):
        if name in ("ge", "le"):
            assert flatten(load(folder, changed(path, kind(edge))))[path] == edge
        else:
            assert f"{path} is " in refused(folder, changed(path, kind(edge)))


@pytest.mark.parametrize("path", NUMBERS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "many", None, [1]])
def test_what_is_no_finite_number_is_refused_with_its_path(folder, path, value):
    assert f"{path} is {value!r}: " in refused(folder, changed(path, value))


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("vae.latent", "beta, blocks, components, latent_dim, learning_rate, likelihood, prior, tokens, warmup"),
        ("prepare.split.tset", "test, train, val"),
        ("registr", ", ".join(sorted(field.alias or name for name, field in Params.model_fields.items()))),
        ("register_", "register"),
        ("register.nam", "name"),
    ],
)
def test_an_unknown_key_is_refused_with_the_ones_that_are_allowed(folder, path, allowed):
    said = refused(folder, changed(path, 1))
    assert f"{path} is unknown; allowed here: " in said
    assert allowed in said


@pytest.mark.parametrize("path", ["vae.beta", "seed", "runtime", "register.name", "prepare.split.val"])
def test_a_missing_key_is_refused_by_its_path(folder, path):
    tree = changed(path, None)
    *sections, last = path.split(".")
    section = tree
    for name in sections:
        section = section[name]
    del section[last]
    assert f"{path} is missing" in refused(folder, tree)


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_name_is_refused_with_the_new_one(folder, old, new):
    tree = changed(old, 64)
    *sections, last = new.split(".")
    section = tree
    for name in sections:
        section = section[name]
    del section[last]
    assert f"{old} is called {new} now; rename it" in refused(folder, tree)
    assert new in {path for path, _, _ in fields()}


def test_every_mistake_is_named_in_the_one_line(folder):
    tree = changed("vae.latent_dim", 0) | {"seed": -1, "sed": 3}
    said = refused(folder, tree)
    for part in ("vae.latent_dim is 0", "seed is -1", "sed is unknown"):
        assert part in said


@pytest.mark.parametrize("path", [path for path, kind, _ in fields() if typing.get_origin(kind) is typing.Literal])
def test_an_unknown_choice_is_refused_with_the_choices(folder, path):
    said = refused(folder, changed(path, "quantum"))
    assert f"{path} is 'quantum'" in said
    for choice in typing.get_args(next(kind for each, kind, _ in fields() if each == path)):
        assert repr(choice) in said


def test_shares_that_do_not_sum_to_one_are_refused_with_their_sum(folder):
    assert "train + val + test is 1.2" in refused(
        folder, changed("prepare.split", {"train": 0.7, "val": 0.3, "test": 0.2})
    )


@settings(max_examples=50, deadline=None)
@given(train=st.floats(0.01, 0.98), part=st.floats(0.01, 0.99))
def test_shares_that_sum_to_one_but_for_rounding_are_allowed(folder, train, part):
    val = (1 - train) * part
    load(folder, changed("prepare.split", {"train": train, "val": val, "test": 1 - train - val}))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ParamsError, match=r"params\.yaml"):
        Params.load(tmp_path)


def test_parameters_cannot_be_changed_once_read():
    params = Params.load(ROOT)
    with pytest.raises(ValueError, match="frozen"):
        params.seed = 1
    with pytest.raises(ValueError, match="frozen"):
        params.vae.beta = 2.0


def test_every_field_has_a_line_that_describes_it():
    def described(section):
        for name, field in section.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                described(field.annotation)
            else:
                assert field.description, name
                assert "\n" not in field.description

    described(Params)


NAMES = st.sampled_from(["a", "b", "latent_dim"])
TREES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(NAMES, inner, min_size=1),
    max_leaves=6,
)


@settings(max_examples=50, deadline=None)
@given(tree=st.dictionaries(NAMES, TREES, min_size=1))
def test_flattening_loses_and_invents_nothing(tree):
    back = {}
    for path, value in flatten(tree).items():
        *sections, last = path.split(".")
        section = back
        for name in sections:
            section = section.setdefault(name, {})
        section[last] = value
    assert back == tree


@pytest.mark.parametrize(("devices", "nodes"), [(1, 1), (3, 1), (1, 2), (4, 8)])
def test_the_processes_of_a_training_are_those_of_all_machines(folder, devices, nodes):
    tree = changed("runtime", SHIPPED["runtime"] | {"devices": devices, "nodes": nodes})
    assert load(folder, tree).runtime.processes == devices * nodes


def test_flattening_a_section_uses_the_names_of_the_file():
    flat = flatten(Params.load(ROOT))
    assert "register.name" in flat
    assert flat["prepare.split.val"] == SHIPPED["prepare"]["split"]["val"]
    # keys are names of scores
    assert flat.pop("gate.at_most.memorisation") == SHIPPED["gate"]["at_most"]["memorisation"]
    assert {*flat, "gate.at_most"} == {path for path, _, _ in fields()}


@pytest.mark.parametrize("name", ["a:b", 'a"b', "x" * 251])
def test_a_source_by_whose_name_no_model_can_be_registered_needs_another_name_for_it(folder, name):
    assert "which cannot name a registered model; set register.name" in refused(folder, changed("prepare.source", name))
    tree = changed("prepare.source", name)
    tree["register"]["name"] = "mine"
    assert load(folder, tree).register_.name == "mine"
