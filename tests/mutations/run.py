#!/usr/bin/python3
"""Breaks each behaviour on purpose and sees whether a test notices.

The *.toml files beside this one hold the mutations: a `behaviour` in words, the `file` whose text `old`, found exactly
once, becomes `new`, and the `tests` of which at least one must fail then:

    unit_core SteeringTest.TheBackendsPortIsWritten      a program of tests/unit, suite and test
    tests/netns/test_modes.py::test_x[dnat]              a test of pytest; without [...] every variant of it

Each is tried in a copy of the sources, which is put right again for the next. A mutation is

    caught      a named test failed
    SURVIVED    all of them passed
    INVALID     nothing is proved: its text is not there once, it does not compile, or its tests do not pass unmutated

The last line is "N caught, N survived, N invalid"; exit 0 only if all were caught.
"""

import argparse
import contextlib
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider", "-q"]
CONFIGURE = ["cmake", "-G", "Ninja", "-S", ".", "-B", "build/release", "-DNFSTEER_TESTS=ON",
             "-DNFSTEER_BENCH=ON", "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG",
             "-DCMAKE_CXX_FLAGS=-w"]  # a mutation may leave a name unused
BUILD_SECONDS, UNIT_SECONDS, PYTEST_SECONDS = 1500, 120, 300
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


class Mutation:
    def __init__(self, origin, entry):
        self.origin = origin
        self.behaviour, self.file, self.old, self.new = (entry[key] for key in ("behaviour", "file", "old", "new"))
        self.tests = entry["tests"]

    def fault(self, root):
        """Why it cannot be applied, or None."""
        path = root / self.file
        count = path.read_text().count(self.old) if path.is_file() else 0
        return None if count == 1 and self.old != self.new else f"its text occurs {count} times in {self.file}"


def load(pattern):
    wanted = re.compile(pattern, re.IGNORECASE)
    found = (Mutation(path.name, entry) for path in sorted(HERE.glob("*.toml"))
             for entry in tomllib.loads(path.read_text())["mutation"])
    return [each for each in found
            if any(wanted.search(text) for text in (each.origin, each.behaviour, each.file, *each.tests))]


def run(command, folder, seconds, log, **env):
    """The exit status; None if it was not done in time. Whatever happens, nothing of it goes on."""
    child = subprocess.Popen([str(word) for word in command], cwd=folder, stdin=subprocess.DEVNULL, stdout=log,
                             stderr=subprocess.STDOUT, start_new_session=True, env=os.environ | env)
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):  # once the last of its processes is gone
            for number in (signal.SIGTERM, signal.SIGKILL):
                os.killpg(child.pid, number)
                for _ in range(300):
                    child.poll()
                    os.killpg(child.pid, 0)
                    time.sleep(0.1)


def case_outcome(case):
    """An error in set-up is no failure: the test did not get as far as what it tests."""
    in_teardown = ["teardown" in each.get("message", "") for each in case.findall("error")]
    if case.find("failure") is not None or any(in_teardown):
        return "failed"
    if in_teardown:
        return "broken"
    if case.find("skipped") is not None or case.get("status") == "notrun":
        return "skipped"
    return "passed"


class Workshop:
    """A copy of the sources, and its build."""

    def __init__(self, folder, wrap):
        self.folder, self.wrap = folder, wrap
        self.build = folder / "build/release"
        self.log = open(folder / "log", "w+")
        shutil.copytree(ROOT, folder, dirs_exist_ok=True, copy_function=copy_if_changed, symlinks=True,
                        ignore=shutil.ignore_patterns("build", ".git", "__pycache__"))
        os.environ["CCACHE_BASEDIR"] = str(folder)  # a file is known again in whatever folder it is
        if run(CONFIGURE, folder, BUILD_SECONDS, self.log) != 0:
            self.fail("cmake fails")

    def fail(self, text):
        self.log.seek(0)
        sys.exit(f"run.py: {text}:\n{''.join(self.log.readlines()[-30:])}")

    def make(self, tests):
        """False if it does not compile."""
        targets = {test.split()[0] for test in tests if test.startswith("unit_")}
        targets |= {"nfsteer" for test in tests if not test.startswith("unit_")}
        targets |= {"policy_fixtures" for test in tests if "test_policy_files" in test or "test_security" in test}
        targets |= {"connload" for test in tests if "test_soak" in test}
        targets |= {"nfsteer_python_host" for test in tests if re.search("test_(python|packages|security)", test)}
        return run(["ninja", "-C", self.build, *sorted(targets)], self.folder, BUILD_SECONDS, self.log) == 0

    def run_tests(self, tests):
        """{case: outcome} of tests that are all of one program or of one file; a crash is a case of its own."""
        result = self.folder / "result.xml"
        result.unlink(missing_ok=True)
        if tests[0].startswith("unit_"):
            program = tests[0].split()[0]
            names = [test.split()[1] for test in tests]
            filters = ":".join(f"{name}:{name}/*:*/{name}:*/{name}/*" for name in names)
            status = run([self.build / "tests/unit" / program, f"--gtest_filter={filters}",
                          f"--gtest_output=xml:{result}"], self.folder, UNIT_SECONDS, self.log)
        else:
            program = None
            status = run([*self.wrap, *PYTEST, f"--junitxml={result}", *tests], self.folder,
                         PYTEST_SECONDS * len(tests), self.log, NFSTEER_BIN=str(self.build / "engine/nfsteer"))
        if not result.exists():
            return {tests[0]: "failed" if program and status != 0 else "broken"}
        cases = {}
        for case in xml.etree.ElementTree.parse(result).iter("testcase"):
            suite, name = case.get("classname"), case.get("name")
            name = (f"{program} {suite.split('/')[-1]}.{name.split('/')[0]}" if program else
                    f"{suite.replace('.', '/')}.py::{name}")
            if cases.get(name) != "failed":  # variants of a test of GoogleTest share a name
                cases[name] = case_outcome(case)
        return cases

    def baseline(self, mutations):
        """{test: outcome} of every named test without any mutation."""
        groups = {}
        for test in sorted({test for each in mutations for test in each.tests}):
            groups.setdefault(re.split("::| ", test)[0], []).append(test)
        if not self.make([test for tests in groups.values() for test in tests]):
            self.fail("the sources do not compile")
        outcomes = {}
        for tests in groups.values():
            cases = self.run_tests(tests)
            for test in tests:
                found = {outcome for case, outcome in cases.items() if test in (case, case.split("[")[0])}
                outcomes[test] = "passed" if found == {"passed"} else ", ".join(sorted(found)) or "not there"
        return outcomes

    def judge(self, mutation, outcomes):
        fault = mutation.fault(self.folder)
        if fault:
            return "INVALID", fault
        for test in mutation.tests:
            if outcomes[test] != "passed":
                return "INVALID", f"unmutated, {test} is {outcomes[test]}"
        path = self.folder / mutation.file
        text = path.read_text()
        path.write_text(text.replace(mutation.old, mutation.new))
        try:
            if not self.make(mutation.tests):
                return "INVALID", "does not compile"
            broken = []
            for test in mutation.tests:
                cases = self.run_tests([test])
                failed = [case for case, outcome in cases.items() if outcome == "failed"]
                if failed:
                    return "caught", failed[0]
                broken += [case for case, outcome in cases.items() if outcome == "broken"]
            return ("INVALID", f"cannot be set up: {broken[0]}") if broken else ("SURVIVED", ", ".join(mutation.tests))
        finally:
            path.write_text(text)


def copy_if_changed(source, copy):
    source, copy = pathlib.Path(source), pathlib.Path(copy)
    if not copy.exists() or copy.read_bytes() != source.read_bytes():
        shutil.copy(source, copy)


def check(mutations):
    """The faults that show without a build."""
    collected = subprocess.run([*PYTEST, "--collect-only", "tests/netns", "tests/docker"], cwd=ROOT, text=True,
                               capture_output=True, env=os.environ | {"NFSTEER_BIN": "/bin/true"}).stdout.splitlines()
    unit = "".join(path.read_text() for path in (ROOT / "tests/unit").glob("*_test.cpp"))
    known = {"{}.{}".format(*match) for match in re.findall(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)", unit, re.MULTILINE)}
    known |= {name for line in collected for name in (line, line.split("[")[0])}
    faults = []
    for each in mutations:
        reasons = [each.fault(ROOT), None if each.tests else "names no test"]
        for test in each.tests:
            there = (test.split()[1] if test.startswith("unit_") else test) in known
            reasons.append(None if there else f"there is no test {test}")
        faults += [f"{each.origin}: {each.behaviour}: {reason}" for reason in reasons if reason]
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only whether each text and test is there; builds nothing")
    parser.add_argument("--list", action="store_true", help="the behaviours and their tests")
    parser.add_argument("--only", metavar="PATTERN", default="", help="mutations whose behaviour, file or tests match")
    parser.add_argument("--folder", metavar="FOLDER", help="work there and leave the build for the next run")
    parser.add_argument("--wrap", metavar="COMMAND", default="", help="put before pytest, such as 'flock FILE'")
    arguments = parser.parse_args()
    mutations = load(arguments.only)
    if arguments.list:
        for each in mutations:
            print(each.behaviour, *each.tests, sep="\n    ")
        return 0
    if arguments.check:
        faults = check(mutations)
        print(*faults, f"{len(mutations)} mutations, {len(faults)} faults", sep="\n")
        return 1 if faults else 0
    if os.geteuid() != 0:
        sys.exit("run.py: needs root for network namespaces; run: sudo tests/mutations/run.py")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # SIGINT, too: a shell's "&" ignores it
        signal.signal(number, signal.default_int_handler)
    folder = pathlib.Path(arguments.folder or tempfile.mkdtemp(prefix="nfsteer-mutations-")).absolute()
    try:
        folder.mkdir(exist_ok=True)
        shop = Workshop(folder, shlex.split(arguments.wrap))
        outcomes = shop.baseline(mutations)
        counts = dict.fromkeys(("caught", "SURVIVED", "INVALID"), 0)
        for each in mutations:
            started = time.monotonic()
            verdict, note = shop.judge(each, outcomes)
            counts[verdict] += 1
            print(f"{verdict:<9} {each.behaviour}  [{note}] ({time.monotonic() - started:.0f} s)", flush=True)
    except KeyboardInterrupt:
        return 130
    finally:
        if not arguments.folder:
            shutil.rmtree(folder, ignore_errors=True)
    print("{} caught, {} survived, {} invalid".format(*counts.values()))
    return 0 if counts["caught"] == len(mutations) else 1


if __name__ == "__main__":
    sys.exit(main())
