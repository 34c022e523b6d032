import ast
import time
import warnings

import pytest
from whole import whole

from pipeline.contents.code import statements
from pipeline.contents.tokens import files as text_files

SOURCE = '''# first of all
import os

@decorated
def read(path,
         mode="r"):
    """Read."""
    if path:
        # open it
        with open(path, mode) as file:
            return file.read()
    else:
        return None
    try:
        risky(path)
    except (OSError,
            ValueError) as error:
        print(error)
    finally:
        close(path)
'''


def in_bytes(text):
    return len(text.encode())


def cut(source, length=128):
    return list(statements.of_statements(source, length, in_bytes))


@pytest.mark.parametrize("length", [32, 64, 128, 500])
def test_every_window_fits_and_parses_and_holds_a_statement(length):
    found = cut(SOURCE, length)
    assert found
    for window in found:
        assert in_bytes(window) <= length
        assert ast.parse(window).body


def test_a_source_that_fits_is_one_window():
    assert cut(SOURCE, 500) == [SOURCE.strip("\n")]


def test_a_window_begins_without_indentation_at_a_statement_and_not_at_a_branch():
    for window in cut(SOURCE, 64):
        assert not window[0].isspace()
        assert not window.startswith(("else", "except", "finally"))


def test_windows_follow_each_other_and_share_no_line():
    source = "".join(f"value_{i} = compute({i})\n" for i in range(100))
    found = cut(source)
    assert "\n".join(found) + "\n" == source


def test_a_window_ends_where_the_indentation_falls_below_its_first_line():
    source = (
        "def f(a_long_name_that_takes_room):\n    first = 1111111111\n    second = 2222222\nthird = 3333333333333\n"
    )
    assert cut(source, 42) == ["first = 1111111111\nsecond = 2222222", "third = 3333333333333"]


def test_a_statement_longer_than_a_window_is_left_out_and_those_around_it_are_kept():
    source = "before = 'abcdefgh'\ntable = [\n" + "    1234567,\n" * 40 + "]\nafter = 'abcdefgh'\n"
    assert cut(source, 32) == ["before = 'abcdefgh'", "after = 'abcdefgh'"]


def test_a_statement_of_many_lines_takes_time_that_grows_with_them_and_not_with_their_square():
    source = 'table = """\n' + "    1234567,\n" * 400_000 + '"""\n'
    began = time.process_time()
    assert cut(source) == []
    assert time.process_time() - began < 10


def test_the_lines_of_a_string_are_never_taken_for_statements():
    source = "text = '''\n" + "import os  # within a string\n" * 30 + "'''\n"
    assert cut(source) == []


def test_a_comment_stays_with_the_statement_below_it_and_alone_is_no_window():
    assert cut("# only a comment, that is long enough for a window of its own\n") == []
    found = cut("value = compute(1, 2, 3)\n# the other one\nother = compute(4, 5, 6)\n", 48)
    assert found == ["value = compute(1, 2, 3)", "# the other one\nother = compute(4, 5, 6)"]


def test_pieces_that_fill_less_than_a_quarter_of_a_window_are_left_out():
    assert cut("a = 1\n") == []


@pytest.mark.parametrize("source", ["print 'old'\n", "def f(:\n", "a = '\ud800\n", "\tif a:\n", "(" * 2000])
def test_a_source_that_is_not_python_is_refused(source):
    with pytest.raises(ValueError, match="cannot parse"):
        cut(source)


@pytest.mark.parametrize(
    "source", ["a b", "'\\", "a\0b", "(" * 5000, "-" * 100_000 + "1", "x" + "()" * 50_000, "9" * 5000, "\ud800"]
)
def test_what_does_not_parse_is_none_and_never_an_error(source):
    assert statements.parsed(source) is None


def test_parsing_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert statements.parsed("'\\d'\n1 is 1\n") is not None


@pytest.mark.parametrize("name", ["dataclasses.py", "json/decoder.py", "typing.py"])
def test_windows_of_the_standard_library_parse_and_hold_much_of_it(tmp_path, name):
    (source,) = (
        each.text for each in text_files.sources(whole(tmp_path / "python-library"), ".py") if each.origin == name
    )
    found = cut(source)
    assert all(statements.parsed(window) is not None for window in found)
    assert sum(map(len, found)) > 0.2 * len(source)
