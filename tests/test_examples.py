"""The Python in the manual runs as it stands, page by page, on the small tables of the tests."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(python|pycon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = (
    *("schema", "techniques", "criteria", "promises", "evaluation", "audit"),
    *("differential_privacy", "private_synthesis", "python", "model_attacks"),
    *("guided", "minimization", "donation"),
)


def run_page(text: str, page: str) -> int:
    """Run a page's blocks one after the other, in one namespace; return how many there are."""
    names: dict[str, object] = {"__name__": page}
    said: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    blocks = list(BLOCK.finditer(text))
    for block in blocks:
        kind, code = block.groups()
        line = text[: block.start(2)].count("\n")
        if kind == "python":
            # line numbers in a trace are those of the page
            exec(compile("\n" * line + code, page, "exec"), names)
            continue
        examples = doctest.DocTestParser().get_examples(code)
        assert examples, f"{page}, line {line}: a pycon block without >>>"
        case = doctest.DocTest(examples, names, page, page, line, None)
        runner.run(case, out=said.append, clear_globs=False)
        names = case.globs
    assert not said, "".join(said)
    return len(blocks)


LONG = {"python", "private_synthesis", "guided"}


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.slow) if page in LONG else page for page in PAGES],
)
def test_the_examples_of_the_page_run(page, tmp_path, monkeypatch):
    (tmp_path / "tests").symlink_to(ROOT / "tests", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    count = run_page((ROOT / "docs" / f"{page}.md").read_text("utf-8"), page)
    assert count or page not in ("schema", "promises", "python")


def test_an_example_with_a_wrong_result_fails():
    """The runner itself can fail."""
    with pytest.raises(AssertionError, match="Expected:"):
        run_page("```pycon\n>>> 1 + 1\n3\n```\n", "wrong")
    with pytest.raises(AssertionError):
        run_page("```python\nassert 1 == 2\n```\n", "wrong")


def test_every_page_with_python_is_run():
    with_python = {
        path.stem for path in (ROOT / "docs").glob("*.md") if BLOCK.search(path.read_text("utf-8"))
    }
    assert with_python <= set(PAGES)


def test_the_python_of_the_readme_can_be_read():
    blocks = BLOCK.findall((ROOT / "README.md").read_text("utf-8"))
    assert blocks
    for _, code in blocks:
        compile(code, "README", "exec")
