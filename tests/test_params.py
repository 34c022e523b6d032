import inspect
import time
import typing
from pathlib import Path

import annotated_types
import pytest
import yaml
from dvc_data.hashfile.meta import Meta
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, create_model

from pipeline.contents import CONTENTS
from pipeline.errors import ParamsError
from pipeline.families import FAMILIES
from pipeline.params import RENAMED, Params, flatten
from pipeline.sections import UNHASHED, Section

ROOT = Path(__file__).parents[1]
SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text())


def fields(section=Params, prefix=""):
    """Yield the path, type and bounds of every field that is no section."""
    for name, field in section.model_fields.items():
        path, kind = f"{prefix}{field.alias or name}", field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from fields(kind, f"{path}.")
        else:
            yield path, kind, field.metadata


NUMBERS = {path: (kind, bounds) for path, kind, bounds in fields() if kind in (int, float)}


def changed(path, value):
    """Return the shipped parameters with one of them changed."""
    *sections, last = path.split(".")
    tree = yaml.safe_load(yaml.safe_dump(SHIPPED))
    section = tree
    for name in sections:
        section = section[name]
    section[last] = value
    return tree


def load(folder, tree):
    (folder / "params.yaml").write_text(yaml.safe_dump(tree))
    return Params.load(folder)


def refused(folder, tree):
    with pytest.raises(ParamsError) as caught:
        load(folder, tree)
    assert "\n" not in str(caught.value)
    return str(caught.value)


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


@pytest.mark.parametrize("section", ["vae", "gan", "features"])
def test_a_width_that_groups_do_not_divide_is_refused(folder, section):
    assert f"{section}.width is 20" in refused(folder, changed(f"{section}.width", 20))


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("vae.latent", "beta, blocks, components, context, free_bits, hidden, latent_dim"),
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
def test_a_file_with_an_old_name_is_told_the_new_one(folder, old, new):
    tree = changed(old, 64)
    section, last = new.split(".")
    del tree[section][last]
    assert f"{old} is called {new} now; rename it" in refused(folder, tree)
    assert new in {path for path, _, _ in fields()}


@pytest.mark.parametrize("name", sorted(UNHASHED))
@pytest.mark.parametrize("alias", [False, True])
def test_no_section_can_have_a_field_that_the_run_cache_ignores(name, alias):
    fields = {"other": (int, Field(alias=name))} if alias else {name: (int, ...)}
    with pytest.raises(TypeError, match="run cache"):
        create_model("Wrong", __base__=Section, **fields)


def test_the_names_that_the_run_cache_ignores_are_those_of_dvc():
    assert {Meta.PARAM_SIZE, Meta.PARAM_NFILES} == UNHASHED


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


@pytest.mark.parametrize("text", ["", "[1, 2]", "seed: [", "\xff", "vae", "a: b: c"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    (tmp_path / "params.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ParamsError, match=r"params\.yaml"):
        Params.load(tmp_path)


def nested(levels, width):
    """Return a mapping of lists that each refer to the one before so many times."""
    lists = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width) if i else 'x'}]" for i in range(levels)]
    return "\n".join(lists)


SHORT = {
    "bomb": nested(30, 9),
    "merged": "\n".join(f"a{i}: &a{i}\n  <<: [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)),
    "itself": "&a {<<: *a}",
    "deep flow": "[" * 5000,
    "deep block": "\n".join(" " * i + "a:" for i in range(500)),
    "large": "seed: 0 #" + "x" * (1 << 20),
    "tagged int": "seed: !!int abc",
    "tagged float": "seed: !!float x",
    "tagged time": "seed: !!timestamp x",
    "date": "seed: 2026-13-45",
    "digits": "seed: " + "9" * 5000,
    "text": "seed: " + "x" * 5000,
    "key": "? [1, 2]\n: 3",
    "numbers for keys": "1: 2",
    "long key": "x" * 5000 + ": 1",
}


@pytest.mark.parametrize("text", SHORT.values(), ids=SHORT)
def test_a_file_that_no_parser_should_be_given_is_refused_in_a_short_line(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    begin = time.monotonic()
    with pytest.raises(ParamsError, match=r"params\.yaml") as caught:
        Params.load(tmp_path)
    assert time.monotonic() - begin < 5
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("written", ["1e-3", "1E-3", "1.0e-3", ".001", "+1e-03"])
def test_a_float_is_read_however_yaml_1_2_writes_it(folder, written):
    text = yaml.safe_dump(SHIPPED).replace("beta: 1.0", f"beta: {written}")
    (folder / "params.yaml").write_text(text)
    assert Params.load(folder).vae.beta == 0.001


def test_an_anchor_can_be_referred_to(folder):
    text = yaml.safe_dump(SHIPPED).replace("seed: 0", "seed: &s 7").replace("warmup_steps: 100", "warmup_steps: *s")
    (folder / "params.yaml").write_text(text)
    assert Params.load(folder).train.warmup_steps == 7


@pytest.mark.parametrize("path", [*NUMBERS, "image.channels"])
@pytest.mark.parametrize("value", [True, "64"])
def test_a_boolean_or_a_text_is_no_number(folder, path, value):
    assert f"{path} is {value!r}: " in refused(folder, changed(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("prepare.source", "a\0b"),
        ("prepare.source", "x" * 5000),
        ("prepare.source", "/a" * 3000),
        ("prepare.source", ".."),
        ("features.weights", "a\nb"),
        ("features.weights", "x" * 300),
        ("register.name", "."),
        ("register.name", ".."),
        ("register.name", "a\x1bb"),
        ("register.name", "x" * 5000),
    ],
)
def test_a_name_that_no_file_system_or_registry_can_hold_is_refused(folder, path, value):
    said = refused(folder, changed(path, value))
    assert f"{path} is " in said
    assert len(said) < 400


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ParamsError, match=r"params\.yaml"):
        Params.load(tmp_path)


def test_parameters_cannot_be_changed_once_read():
    params = Params.load(ROOT)
    with pytest.raises(ValueError, match="frozen"):
        params.seed = 1
    with pytest.raises(ValueError, match="frozen"):
        params.vae.beta = 2.0


def test_families_and_contents_are_the_ones_that_parameters_allow():
    annotations = {name: field.annotation for name, field in Params.model_fields.items()}
    assert set(FAMILIES) == set(typing.get_args(annotations["family"]))
    assert set(CONTENTS) == set(typing.get_args(annotations["content"]))


@pytest.mark.parametrize("name", [*FAMILIES, *CONTENTS])
def test_every_family_and_content_has_its_section_with_the_arguments_that_it_takes(name):
    made = {**FAMILIES, **CONTENTS}[name]
    # what a content learns of its source has a default: it is not known before
    arguments = inspect.signature(made).parameters
    taken = {each.name for each in arguments.values() if each.default is inspect.Parameter.empty} - {"spec"}
    section = Params.model_fields[name].annotation.model_fields
    assert {name for name, field in section.items() if field.is_required()} == taken
    assert set(section) <= set(arguments)


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
    # limits are named by their scores
    assert flat.pop("gate.at_most.memorisation") == SHIPPED["gate"]["at_most"]["memorisation"]
    assert {*flat, "gate.at_most"} == {path for path, _, _ in fields()}


@pytest.mark.parametrize("name", ["a:b", 'a"b', "x" * 251])
def test_a_source_by_whose_name_no_model_can_be_registered_needs_another_name_for_it(folder, name):
    assert "as prepare.source is called; set register.name" in refused(folder, changed("prepare.source", name))
    tree = changed("prepare.source", name)
    tree["register"]["name"] = "mine"
    assert load(folder, tree).register_.name == "mine"


def test_a_field_of_thousands_of_characters_is_refused(folder):
    assert "text.field" in refused(folder, changed("text.field", "x" * 5000))
