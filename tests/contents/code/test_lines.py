from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contents.code.lines import of_lines

LENGTH = 32


def in_bytes(text):
    return len(text.encode())


def cut(text, count=in_bytes):
    return list(of_lines(text, LENGTH, count))


def test_windows_are_as_many_whole_lines_as_fit_and_leave_none_out():
    source = "".join(f"  x[{i}] = {i};\n" for i in range(100))
    found = cut(source)
    assert "\n".join(found) + "\n" == source
    for window, after in pairwise(found):
        assert in_bytes(window) <= LENGTH < in_bytes(f"{window}\n{after.splitlines()[0]}")


def test_blank_lines_between_windows_belong_to_none_and_those_within_stay():
    first, second = "int a = 1;\n\nint b = 2;", "  int c = 3; /* third */"
    assert cut(f"\n \n{first}\n\n\t\n\n{second}\n\n") == [first, second]


def test_a_line_longer_than_a_window_is_cut_between_words_and_the_lines_around_it_stay_whole():
    long = " ".join("abcdefg" for _ in range(8))
    assert cut(f"before();\n{long}\nafter();\n") == ["before();", long[:31], long[32:63], "after();"]


def test_a_line_without_blanks_is_cut_between_characters():
    assert cut("a" * 100 + "\n") == ["a" * 32] * 3


def test_windows_that_fill_less_than_a_quarter_are_left_out():
    assert cut("}\n") == []
    assert cut("12345678\n") == ["12345678"]


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet="ab \n\té", max_size=400))
def test_windows_fit_and_end_in_a_line_only_where_it_is_longer_than_a_window(text):
    lines = text.split("\n")
    long = "\n".join(line for line in lines if in_bytes(line) > LENGTH)
    for window in cut(text):
        assert in_bytes(window) <= LENGTH
        assert window in text
        *before, last = window.split("\n")
        whole = set(before) <= set(lines) and last in [line.rstrip() for line in lines]
        assert whole or window in long


def test_what_is_counted_grows_with_the_text_and_not_with_its_square():
    def counted(repeats):
        sizes = []
        cut("a = 1;\n" * repeats + "\n" * repeats, lambda part: sizes.append(len(part)) or in_bytes(part))
        return sum(sizes)

    assert counted(8000) < 2.2 * counted(4000)
