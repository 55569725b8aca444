"""Lines of keys, checked against texts whose lines are known."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from sfumato.release.toml_lines import TomlLines

HARD = '''# a comment with a [table] and a key = 1
title = "a = 1 # no comment"  # a comment

[owner]
name = """
[not.a.table]
key = "value"
""" # after
"quoted key".inner = 'C:\\no\\escape'
list = [
  1, # one
  [2, 3], { a = 4, b = [5,
  6] },
]

[[release]]
name = "one"
[release.columns]
age = { generalize = 1 }

[[release]]
name = "two"
# another comment
columns.sex = { generalize = 2, rename = "s" }
[[release.columns.nested]]
x = 1
[[release.columns.nested]]
x = 2
'''


def test_every_kind_of_key_is_found_on_its_line():
    tomllib.loads(HARD)
    lines = TomlLines.read(HARD)
    expected = {
        ("title",): 2,
        ("owner",): 4,
        ("owner", "name"): 5,
        ("owner", "quoted key", "inner"): 9,
        ("owner", "list"): 10,
        ("owner", "list", 0): 11,
        ("owner", "list", 1, 1): 12,
        ("owner", "list", 2, "b", 1): 13,
        ("release", 0, "name"): 17,
        ("release", 0, "columns", "age", "generalize"): 19,
        ("release", 1): 21,
        ("release", 1, "columns", "sex", "rename"): 24,
        ("release", 1, "columns", "nested", 1, "x"): 28,
    }
    assert {path: lines.of[path] for path in expected} == expected


def test_windows_line_ends_and_a_mark_at_the_start_do_not_shift_lines():
    assert TomlLines.read("\ufeffa = 1\r\nb = '''\r\nx\r\n'''\r\nc = 2\r\n").of == {
        ("a",): 1,
        ("b",): 2,
        ("c",): 5,
    }


def test_an_unknown_path_falls_back_to_the_nearest_known_part():
    lines = TomlLines.read("[a]\nb = 1\n")
    assert lines.line(("a", "c", "d")) == 1
    assert lines.line(("z",)) is None
    assert lines.find(("a",), ("b",)) == 2


def test_a_setting_inside_settings_is_found_by_the_end_of_its_path():
    lines = TomlLines.read("[[release]]\nk = 1\n[release.columns]\nage = { generalise = 1 }\n")
    assert lines.find(("release", 0), ("generalise",)) == 4


KEYS = st.text("abcdefgh-_ .ü\"'\\", min_size=1, max_size=6)
VALUES = st.recursive(
    st.integers() | st.booleans() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_every_path_of_any_document_has_a_line_that_holds_its_key(document):
    import tomlkit

    text = tomlkit.dumps(document)
    lines = TomlLines.read(text)
    rows = text.replace("\r\n", "\n").split("\n")

    def check(path, value):
        if path:
            assert path in lines.of
            assert 1 <= lines.of[path] <= len(rows)
        if isinstance(value, dict):
            for key, one in value.items():
                check((*path, key), one)
        elif isinstance(value, list):
            for position, one in enumerate(value):
                check((*path, position), one)

    check((), tomllib.loads(text))
