"""What `course.py sync` writes from records; tests/test_structure.py holds the files to it."""

import json

import pytest

from course_lib import sync

RUN = {
    **dict.fromkeys(("independent", "copula", "by_kind", "filter", "vae"), 2.5),
    "seed": 0,
    "remedy": "vae",
    "final": 0,
    "passed": 1.0,
    "stopped_by": [],
}
STOPPED = {"filter": -1.0, "final": 2, "passed": 0.0, "stopped_by": ["mmd[whole rows]", "a[x & y]"]}


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    def write(**groups):
        file = tmp_path / "capstone.json"
        file.write_text(json.dumps({"runs": groups}))
        monkeypatch.setattr(sync, "CAPSTONE_RUNS", file)
        return sync.capstone_runs()

    return write


def test_the_capstone_s_runs_name_each_finding_that_stopped_a_table(recorded):
    text = recorded(loans=[RUN], adult=[RUN | STOPPED])
    assert "| loans | 0 | 2.5 | 2.5 | 2.5 | 2.5 | 2.5 | vae | 0 | passed |" in text
    assert "| adult | 0 | 2.5 | 2.5 | 2.5 | none could be made | 2.5 | vae | 2 | stopped |" in text
    assert text.endswith(
        "What stopped the tables at the end:\n\n- adult, seed 0: mmd[whole rows], a[x & y]"
    )


def test_where_nothing_was_stopped_nothing_is_listed(recorded):
    assert "What stopped" not in recorded(loans=[RUN])
