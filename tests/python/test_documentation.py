"""SECURITY.md says by which test each of its claims is shown: those tests are there."""

import re

from conftest import ROOT

TESTS = ROOT / "tests"
# `.py` files, programs of unit tests, fuzz targets, cases of GoogleTest, and what a test of pytest is called: at least
# four words. The end of a name may be missing; `health_*` are files of unit tests.
NAME = re.compile(r"\w+\.(?:py|cpp)|unit_\w+|fuzz_\w+|[a-z]+_\*|(?:\w+\.)?[A-Z]\w*?[a-z][A-Z]\w*(?:\.\w+)?|[a-z]+(?:_[a-z]+){3,}")


def names(text):
    words = (word.removesuffix("...") for quoted in re.findall(r"`([^`\n]+)`", text) for word in quoted.split())
    return sorted({word for word in words if NAME.fullmatch(word)})


def known():
    """One name a line, so that the beginning of one, or the end, can be looked for."""
    unit = "".join(path.read_text() for path in TESTS.glob("unit/*_test.cpp"))
    cases = re.findall(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)", unit, re.M)
    python = "".join(path.read_text() for folder in ("netns", "docker", "python", "bench")
                     for path in TESTS.glob(f"{folder}/test_*.py"))
    programs = re.findall(r"^nfsteer_unit_test\((\w+)", (TESTS / "unit/CMakeLists.txt").read_text(), re.M)
    return [*(f"{suite}.{case}" for suite, case in cases), *re.findall(r"^def (test_\w+)", python, re.M),
            *(f"unit_{program}" for program in programs), *(path.stem for path in TESTS.glob("fuzz/fuzz_*.cpp")),
            *(path.name for path in TESTS.glob("*/*_test.cpp")), *(path.name for path in TESTS.glob("*/test_*.py"))]


def is_there(name, all_names):
    if name.endswith("*"):
        return any(each.startswith(name[:-1]) and each.endswith("_test.cpp") for each in all_names)
    wanted = re.compile(r"(?:^|[._])" + re.escape(name))
    return any(wanted.search(each) for each in all_names)


def test_each_test_that_security_names_is_there():
    named, all_names = names((ROOT / "SECURITY.md").read_text()), known()
    assert len(named) > 40, named
    assert not [name for name in named if not is_there(name, all_names)]


def test_a_name_that_is_not_there_is_found():
    text = "`nobody_tests_this_at_all`, `NobodyTestsThis...`, `unit_nothing`, `test_nothing.py`, `no_new_privs`, `nobody_*`"
    assert len(names(text)) == 5
    assert not [name for name in names(text) if is_there(name, known())]
