from pipeline.contents.names import Names


def test_names_are_found_by_their_numbers_whatever_they_are_and_whenever_they_are_asked_for(tmp_path):
    every = ["a", "", "größe\n", "no UTF-8 \udce9", "long" * 100_000, "a"]
    with Names(tmp_path) as names:
        for number, name in enumerate(every):
            assert names.add(name) == number
            assert names[number // 2] == every[number // 2]
        assert [names[number] for number in range(len(every))] == every
