import inspect
import typing

import pytest
from dvc_data.hashfile.meta import Meta
from params_files import NUMBERS, changed, refused
from pydantic import Field, create_model

from pipeline.contents import CONTENTS
from pipeline.models.families import FAMILIES
from pipeline.params import Params
from pipeline.params.sections import UNHASHED, Section


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("params")


@pytest.mark.parametrize("name", sorted(UNHASHED))
@pytest.mark.parametrize("alias", [False, True])
def test_no_section_can_have_a_field_that_the_run_cache_ignores(name, alias):
    fields = {"other": (int, Field(alias=name))} if alias else {name: (int, ...)}
    with pytest.raises(TypeError, match="run cache"):
        create_model("Wrong", __base__=Section, **fields)


def test_the_names_that_the_run_cache_ignores_are_those_of_dvc():
    assert {Meta.PARAM_SIZE, Meta.PARAM_NFILES} == UNHASHED


@pytest.mark.parametrize("section", ["vae", "gan", "features"])
def test_a_width_that_groups_do_not_divide_is_refused(folder, section):
    assert f"{section}.width is 20" in refused(folder, changed(f"{section}.width", 20))


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
        ("text.field", ""),
        ("text.field", "a\x1bb"),
        ("text.field", "a\0"),
        ("text.field", "x" * 5000),
        ("code.suffix", ".a\0"),
        ("code.suffix", "." + "x" * 5000),
        ("register.name", " "),
        ("register.name", "."),
        ("register.name", ".."),
        ("register.name", "a\x1bb"),
        ("register.name", "x" * 5000),
    ],
)
def test_a_text_that_no_file_system_or_registry_or_file_can_hold_is_refused(folder, path, value):
    said = refused(folder, changed(path, value))
    assert f"{path} is " in said
    assert len(said) < 400


def test_families_and_contents_are_the_ones_that_parameters_allow():
    annotations = {name: field.annotation for name, field in Params.model_fields.items()}
    assert set(FAMILIES) == set(typing.get_args(annotations["family"]))
    assert set(CONTENTS) == set(typing.get_args(annotations["content"]))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_takes_its_section(name):
    assert Params.model_fields[name].annotation is FAMILIES[name].Params


@pytest.mark.parametrize("name", CONTENTS)
def test_every_content_has_its_section_with_the_arguments_that_it_takes(name):
    made = CONTENTS[name]
    # what a content learns from its source is not a param, and has a default
    arguments = inspect.signature(made).parameters
    taken = {each.name for each in arguments.values() if each.default is inspect.Parameter.empty} - {"spec"}
    section = Params.model_fields[name].annotation.model_fields
    assert {name for name, field in section.items() if field.is_required()} == taken
    assert set(section) <= set(arguments)
