"""nfsteer-python.so in a program that has no Python of its own."""

import pytest

TABLE = """
class Mine(nfsteer.Policy):
    def build(self, backends):
        return nfsteer.Table([each for each in backends for _ in range(each.weight)])
"""


def test_workers_read_the_table(drive, policy_file):
    done = drive(policy_file(TABLE), weights=(1, 3, 0), workers=4, picks=50_000)
    assert done.counts[2] == done.none == done.failed == done.wrong == 0, done
    assert done.counts[0] + done.counts[1] == 200_000
    assert done.counts[1] / 200_000 == pytest.approx(0.75, abs=0.01)  # the same flows for each worker


def test_tables_are_replaced_while_workers_pick(drive, policy_file):
    file = policy_file("""
class Mine(nfsteer.Policy):
    refresh_s = 1
    turn = 0
    def build(self, backends):
        self.turn += 1
        return nfsteer.Table([self.turn % len(backends)] * (1000 + self.turn))
""")
    done = drive(file, weights=(1, 1, 1), workers=3, picks=3_000_000, ticks=300)
    assert done.none == done.failed == done.wrong == 0 and sum(done.counts) == 9_000_000, done
    assert min(done.counts) > 0, "every table was read"


def test_refresh_sees_live_state(drive, policy_file):
    file = policy_file("""
class Mine(nfsteer.Policy):
    refresh_s = 1
    builds = 0
    def build(self, backends):
        self.builds += 1
        assert [each.live for each in backends] == [True, True, True]
        assert [each.active for each in backends] == [0, 10, 20]
        assert [each.state for each in backends] == ["active"] * 3
        assert self.builds < 4 , "the fourth time"
        return nfsteer.Table([0])
""")
    done = drive(file, weights=(1, 1, 1), picks=10, ticks=6)
    assert done.counts == [10, 0, 0], done
    assert done.stderr.count("AssertionError: the fourth time; what build() returned before stays") == 1, done
    assert f"policy {file}:Mine:" in done.stderr


def test_refresh_keeps_its_pace(drive, policy_file):
    file = policy_file("""
class Mine(nfsteer.Policy):
    refresh_s = 3
    builds = 0
    def build(self, backends):
        self.builds += 1
        print("built", self.builds, file=__import__("sys").stderr, flush=True)
        return nfsteer.Table([0])
""")
    assert drive(file, picks=1, ticks=10).stderr.split() == "built 1 built 2 built 3 built 4".split()


def test_per_flow_is_called_by_all_workers(drive, policy_file):
    file = policy_file("""
class Mine(nfsteer.Policy):
    per_flow = True
    def pick(self, flow):
        assert (flow.source, flow.destination, flow.destination_port) == ("10.1.0.10", "10.9.0.40", 80)
        return flow.source_port % 2 if flow.source_port % 10 else None
""")
    done = drive(file, workers=4, picks=10_000, ticks=50)
    assert (done.counts, done.none, done.failed) == ([16_000, 20_000], 4_000, 0), done


def test_a_failing_pick_is_counted_and_told_once(drive, policy_file):
    file = policy_file("""
class Mine(nfsteer.Policy):
    per_flow = True
    def pick(self, flow):
        return {}[flow.source_port] if flow.source_port % 2 else 0
""")
    done = drive(file, workers=2, picks=1000, ticks=5)
    assert (done.counts, done.failed) == ([1000, 0], 1000), done
    assert done.stderr == f"nfsteer: policy {file}:Mine: pick() failed: {file}:6: KeyError: 1\n", done


@pytest.mark.parametrize("text, said", [
    ("class Mine(nfsteer.Policy):\n    def build(self, backends)\n", "{file}:3: SyntaxError: expected ':'"),
    ("class Other: pass\n", "{file}: has no class Mine"),
    ("class Mine: pass\n", "Mine is no nfsteer.Policy; derive the class from it"),
    ("import nothing_of_that_name\n", "{file}:2: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
    ("raise SystemExit('enough')\n", "{file}:2: SystemExit: enough"),
    ("class Mine(nfsteer.Policy):\n    def build(self, backends):\n        return 1 / 0\n",
     "{file}:4: ZeroDivisionError: division by zero"),
    ("class Mine(nfsteer.Policy):\n    def build(self, backends):\n        raise ValueError('two\\nlines')\n",
     "{file}:4: ValueError: two lines"),
    ("class Mine(nfsteer.Policy):\n    def build(self, backends):\n        return nfsteer.Table([-1])\n",
     "{file}:4: Table: entry 0 is -1, which is no index of a backend; indices are whole numbers from 0"),
    ("class Mine(nfsteer.Policy):\n    def pick(self, flow):\n        return 0\n",
     "Mine has pick(), which is called in Python for each new flow only with per_flow = True in the class; set it, or "
     "write build(), which returns a Table"),
])
def test_what_is_wrong_with_a_file_is_one_line(drive, policy_file, text, said):
    file = policy_file(text)
    done = drive(file)
    assert (done.code, done.error) == (3, said.format(file=file)), done


def test_a_missing_file_and_an_unknown_option_are_told(drive, policy_file, tmp_path):
    assert drive(tmp_path / "no.py").error == f"{tmp_path}/no.py: No such file or directory"
    assert drive(policy_file(TABLE), zone="a").error == "TypeError: Mine() takes no arguments"


def test_a_file_imports_what_lies_beside_it(drive, policy_file):
    policy_file("FIRST = 1\n", "beside.py")
    file = policy_file("""
import beside
class Mine(nfsteer.Policy):
    def build(self, backends):
        return nfsteer.Table([beside.FIRST])
""")
    assert drive(file, picks=10).counts == [0, 10]


def test_modules_of_the_standard_library_that_are_shared_objects_can_be_imported(drive, policy_file):
    file = policy_file("""
import ctypes, dataclasses, decimal, ssl, sqlite3
@dataclasses.dataclass
class Mine(nfsteer.Policy):
    zone: str = "b"
    def build(self, backends):
        assert backends[0].data == "zone=" + self.zone
        return nfsteer.Table([0])
""")
    assert drive(file, picks=10, zone="a").counts == [10, 0]
