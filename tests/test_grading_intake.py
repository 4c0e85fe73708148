"""What came in: every layout, names of every kind, and zips that mean harm."""

import io
import json
import os
import pickle
import stat
import struct
import time
import tracemalloc
import zipfile
from datetime import UTC, datetime

import pytest

from course_lib.exercises.answers import NotebookError, read_notebook
from course_lib.grading.errors import GradingError
from course_lib.grading.intake import archive
from course_lib.grading.intake.submission import find, take_in

LESSON = "01_vae"


def book(text="x = 1") -> bytes:
    """A notebook whose one cell tells it from others."""
    cell = {"cell_type": "code", "metadata": {}, "source": text, "outputs": []}
    return json.dumps(
        {"nbformat": 4, "nbformat_minor": 0, "metadata": {}, "cells": [cell]}
    ).encode()


def zipped(files, method=zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of (name, bytes) pairs; a name may come twice."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as opened:
        for name, data in files.items() if isinstance(files, dict) else files:
            opened.writestr(name, data)
    return file.getvalue()


def laid_out(folder, files):
    """The files in a folder, from their paths."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(params=["folder", "zip", "folder in a folder", "zip in a folder"])
def come(request, tmp_path):
    """From files to what the instructor has: the layout as a folder or a zip, bare or wrapped."""

    def put(files):
        if request.param == "folder":
            return laid_out(tmp_path / "week1", files)
        if request.param == "folder in a folder":
            laid_out(tmp_path / "outer" / "week1", files)
            return tmp_path / "outer"
        outer = tmp_path / "outer" if "folder" in request.param else tmp_path
        outer.mkdir(exist_ok=True)
        (outer / "week1.zip").write_bytes(zipped(files))
        return outer if "folder" in request.param else outer / "week1.zip"

    return put


def told(found):
    """Student to what his attempts hold, or to the problem."""
    answer = {}
    for s in found:
        content = s.problem or json.loads(s.read())["cells"][0]["source"]
        answer.setdefault(s.student, []).append(content)
    return answer


# --- layouts -----------------------------------------------------------------------------------


def test_a_notebook_a_student(come):
    found = find(
        come(
            {
                "jane.ipynb": book("jane"),
                "bob_01_vae.ipynb": book("bob"),
                "01 VAE - Zoë Müller.ipynb": book("zoë"),
                "Ana (1).ipynb": book("ana 1"),
                "Ana.ipynb": book("ana"),
                "UPPER.IPYNB": book("upper"),
                "browser.ipynb.txt": book("browser"),
                "README.md": b"not a submission",
                ".DS_Store": b"",
                "__MACOSX/._jane.ipynb": b"",
                ".ipynb_checkpoints/jane-checkpoint.ipynb": book("old"),
            }
        ),
        LESSON,
    )
    assert told(found) == {
        "Ana": ["ana"],
        "Ana (1)": ["ana 1"],
        "UPPER": ["upper"],
        "Zoë Müller": ["zoë"],
        "bob": ["bob"],
        "browser": ["browser"],
        "jane": ["jane"],
    }
    assert all(
        s.attempt == 1 and not s.late and s.source.endswith((".ipynb", ".IPYNB", ".txt"))
        for s in found
    )


@pytest.mark.parametrize("content", [b"", b" \n"])
def test_an_empty_file_is_called_empty(content):
    with pytest.raises(NotebookError, match="The file is empty"):
        read_notebook(content)


def test_files_that_are_nobody_s_submission_are_named(tmp_path):
    for name, content in {"jane.ipynb": book("jane"), "bob.py": b"x", "bob.txt": b"x"}.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / ".DS_Store").write_bytes(b"")
    for layout in ("auto", "folder"):
        came_in = take_in(tmp_path, LESSON, layout)
        assert came_in.passed_over == ["bob.py", "bob.txt"] and len(came_in.submissions) == 1


def test_a_folder_a_student(come):
    found = find(
        come(
            {
                "jane/01_vae.ipynb": book("jane"),
                "jane/02_gan.ipynb": book("her other lesson"),
                "jane/old/01_vae.ipynb": book("a copy deeper down"),
                "Jörg Ünal/Untitled.ipynb": book("the only one"),
                "two/01_vae-1.ipynb": book("second"),
                "two/01_vae.ipynb": book("first"),
                "two/01_vae (2).ipynb": book("third"),
                "sakai, doe(jd1)/notes.txt": b"",
                "like/a.ipynb": book("a"),
                "like/vae.ipynb": book("closest"),
                "unlike/a.ipynb": book("a"),
                "unlike/b.ipynb": book("b"),
                "other/02_gan.ipynb": book("gan"),
                "essay/essay.pdf": b"%PDF",
                "mine.zip": zipped({"work/01_vae.ipynb": book("zipped"), "work/data.csv": b"1"}),
                "packed/my work.zip": zipped({"01_vae.ipynb": book("packed")}),
                "rest.7z": b"7z",
            }
        ),
        LESSON,
    )
    answer = told(found)
    assert answer.pop("two") == ["first", "second", "third"]
    assert answer.pop("unlike") == [
        "None of the notebooks a.ipynb, b.ipynb is called like 01_vae; a person must say which one "
        "counts."
    ]
    assert answer.pop("other") == ["There is no notebook of 01_vae, only 02_gan.ipynb."]
    assert answer.pop("essay") == ["There is no notebook (.ipynb), only essay.pdf."]
    assert answer.pop("rest") == ["There is no notebook (.ipynb), only rest.7z."]
    assert answer.pop("sakai, doe(jd1)") == ["There is no notebook (.ipynb), only notes.txt."]
    assert answer == {
        "jane": ["jane"],
        "Jörg Ünal": ["the only one"],
        "like": ["closest"],
        "mine": ["zipped"],
        "packed": ["packed"],
    }
    assert [s.attempt for s in found if s.student == "two"] == [1, 2, 3]


def test_nbgrader(come):
    tree = {
        "submitted/jane/01_vae/01_vae.ipynb": book("jane"),
        "submitted/jane/01_vae/timestamp.txt": b"2026-09-01 12:30:00.000000 UTC",
        "submitted/jane/02_gan/02_gan.ipynb": book("gan"),
        "submitted/bob/01_vae/problem.ipynb": book("bob"),
        "submitted/bob/01_vae/timestamp.txt": b"yesterday",
        "submitted/late/02_gan/02_gan.ipynb": book("gan"),
        "source/01_vae/01_vae.ipynb": book("the source"),
        "release/01_vae/01_vae.ipynb": book("the release"),
        "gradebook.db": b"",
    }
    for keep in ("", "submitted/"):  # the course's folder, and `submitted` itself
        path = come({name: data for name, data in tree.items() if name.startswith(keep)})
        found = find(path, LESSON)
        assert told(found) == {
            "bob": ["bob"],
            "jane": ["jane"],
            "late": ["There is no notebook of 01_vae, only 02_gan.ipynb."],
        }
        assert {s.student: s.submitted for s in found} == {
            "bob": None,
            "jane": datetime(2026, 9, 1, 12, 30, tzinfo=UTC),
            "late": None,
        }


def test_canvas(come):
    found = find(
        come(
            {
                "doejane_1234_56789_01_vae.ipynb": book("jane"),
                "doejane_1234_56790_data.csv": b"",
                "doejane_9999_56791_01_vae.ipynb": book("another of that name"),
                "müllerzoë_LATE_77_56792_01_vae-1.ipynb": book("zoë"),
                "roe_mary_78_56793_My Answer.ipynb": book("mary"),
                "zip_79_56794_work.zip": zipped({"bob_1_2_01_vae.ipynb": book("not bob's")}),
                "textonly_80_56795_text.html": b"<p>see my drive</p>",
                "paper_81_56796_essay.pdf": b"%PDF",
                "LATE_anon_Ab3xZ_56797_01_vae.ipynb": book("anonymous"),
            }
        ),
        LESSON,
    )
    assert [(s.student, s.student_id, s.attempt, s.late) for s in found] == [
        ("anon_Ab3xZ", "", 1, True),
        ("doejane", "1234", 1, False),
        ("doejane", "9999", 1, False),
        ("müllerzoë", "77", 2, True),
        ("paper", "81", 1, False),
        ("roe_mary", "78", 1, False),
        ("textonly", "80", 1, False),
        ("zip", "79", 1, False),
    ]
    answer = told(found)
    assert answer["doejane"] == ["jane", "another of that name"]
    assert answer["zip"] == ["not bob's"]
    assert answer["textonly"] == ["There is no notebook (.ipynb), only text.html."]
    assert answer["paper"] == ["There is no notebook (.ipynb), only essay.pdf."]
    assert {s.layout for s in found} == {"canvas"}


def test_dates_in_names_are_no_canvas_ids(come):
    """Else all students of one day would be one."""
    names = ["2026_11_13_jane", "2026_11_13_bob", "2026_11_14_zoe"]
    found = find(come({f"{name}.ipynb": book(name) for name in names}), LESSON)
    assert told(found) == {name: [name] for name in names}


@pytest.mark.parametrize("folders", [True, False])
def test_moodle(come, folders):
    slash = "/" if folders else ""
    found = find(
        come(
            {
                f"Jane Doe_123456_assignsubmission_file_{slash}01_vae.ipynb": book("jane"),
                f"Jane Doe_123457_assignsubmission_file_{slash}01_vae.ipynb": book("a second Jane"),
                f"Jane Doe_123456_assignsubmission_onlinetext_{slash}onlinetext.html": b"<p>hi</p>",
                f"Zoë Müller-Ünal_123458_assignsubmission_file_{slash}vae_final.ipynb": book("zoë"),
                f"Participant_123459_assignsubmission_file_{slash}01_vae.ipynb": book("blind"),
                f"Only Text_123460_assignsubmission_onlinetext_{slash}onlinetext.html": b"",
            }
        ),
        LESSON,
    )
    assert [(s.student, s.student_id, s.layout) for s in found] == [
        ("Jane Doe", "123456", "moodle"),
        ("Jane Doe", "123457", "moodle"),
        ("Only Text", "123460", "moodle"),
        ("Participant 123459", "123459", "moodle"),
        ("Zoë Müller-Ünal", "123458", "moodle"),
    ]
    assert told(found) == {
        "Jane Doe": ["jane", "a second Jane"],
        "Only Text": ["There is no notebook (.ipynb), only onlinetext.html."],
        "Participant 123459": ["blind"],
        "Zoë Müller-Ünal": ["zoë"],
    }


GRADESCOPE = """---
submission_11:
  :submitters:
  - :name: Jane Doe
    :sid: '3031'
    :email: jane@example.org
  :created_at: 2026-09-21 18:10:22.123456000 Z
  :score: 3.0
  :results:
    tests:
    - name: ':submitters: of nothing'
      output: "{}"
submission_12:
  :submitters:
  - :name: "Zoë \\"Z\\" Müller"
    :sid:
    :email: zoe@example.org
  - :name: Bob
    :sid: 3032
    :email: bob@example.org
  :created_at: 2026-09-22 08:00:00.000000000 Z
submission_13:
  :submitters: [[[[
"""


def test_gradescope(come):
    export = "assignment_9_export"
    files = {
        f"{export}/submission_11/01_vae.ipynb": book("jane"),
        f"{export}/submission_12/src/01_vae.ipynb": book("a pair"),
        f"{export}/submission_13/01_vae.ipynb": book("unknown"),
    }
    metadata = GRADESCOPE.replace("{}", "[" * 100_000).encode()
    found = find(come(files | {f"{export}/submission_metadata.yml": metadata}), LESSON)
    assert [(s.student, s.student_id) for s in found] == [
        ("Bob", "3032"),
        ("Jane Doe", "3031"),
        ("submission_13", ""),
        ('Zoë "Z" Müller', "zoe@example.org"),
    ]
    assert told(found)['Zoë "Z" Müller'] == told(found)["Bob"] == ["a pair"]
    assert found[1].submitted == datetime(2026, 9, 21, 18, 10, 22, 123456, tzinfo=UTC)
    assert {s.layout for s in found} == {"gradescope"}


def test_sakai(come):
    found = find(
        come(
            {
                "Lesson 1/Doe, Jane(jdoe)/Submission attachment(s)/01_vae.ipynb": book("jane"),
                "Lesson 1/Doe, Jane(jdoe)/Feedback Attachment(s)/01_vae.ipynb": book("ours"),
                "Lesson 1/Doe, Jane(jdoe)/timestamp.txt": b"20260901123000000",
                "Lesson 1/Roe, Al(aroe)/Submission attachment(s)/01_vae.ipynb": book("al"),
                "Lesson 1/grades.csv": b"",
            }
        ),
        LESSON,
    )
    assert [(s.student, s.student_id) for s in found] == [
        ("Doe, Jane", "jdoe"),
        ("Roe, Al", "aroe"),
    ]
    assert told(found) == {"Doe, Jane": ["jane"], "Roe, Al": ["al"]}


@pytest.mark.parametrize(
    ("files", "student"),
    [
        ({"jane/01_vae.ipynb": book()}, "jane"),
        ({"jane/01_vae.ipynb": book(), "jane/02_gan.ipynb": book()}, "jane"),
        ({"jane/Untitled.ipynb": book()}, "jane"),
        ({"jane/01_vae/01_vae.ipynb": book()}, "jane"),
        ({"submitted/jane/01_vae/x.ipynb": book()}, "jane"),
        ({"01_vae/jane.ipynb": book()}, "jane"),
        ({"01_vae/jane/01_vae.ipynb": book()}, "jane"),
        ({"week1/jane_01_vae.ipynb": book()}, "jane"),
        ({"jane.zip": zipped({"01_vae.ipynb": book()})}, "jane"),
        ({"jane_01_vae.ipynb": book()}, "jane"),
        ({"01_vae.ipynb": book()}, "here"),
        ({"01_vae/01_vae.ipynb": book(), "02_gan/02_gan.ipynb": book()}, "here"),
    ],
)
def test_a_single_student(tmp_path, files, student):
    (found,) = find(laid_out(tmp_path / "here", files), LESSON)
    assert found.student == student
    assert found.read() == book()


def test_a_single_notebook(tmp_path):
    (found,) = find(laid_out(tmp_path, {"jane.ipynb": book()}) / "jane.ipynb", LESSON)
    assert (found.student, found.source, found.read()) == ("jane", "jane.ipynb", book())


def test_a_template_among_the_submissions_takes_nobody_s_place(come):
    names = ["01_vae", "jane", "bob"]
    found = find(come({f"{name}.ipynb": book(name) for name in names}), LESSON)
    assert told(found) == {name: [name] for name in names}


def test_browser_copies_in_one_folder_are_students(come):
    """Sent by mail, each student's file is called 01_vae.ipynb."""
    names = ["01_vae", "01_vae (1)", "01_vae (2)"]
    found = find(come({f"{name}.ipynb": book(name) for name in names}), LESSON)
    assert told(found) == {name: [name] for name in names}


def test_a_million_notebooks_of_one_student_are_no_million_attempts(come):
    files = {f"jane/01_vae-{n}.ipynb": book() for n in range(30)} | {"bob/01_vae.ipynb": book("b")}
    answer = told(find(come(files), LESSON))
    assert answer["bob"] == ["b"]
    assert "There are 30 notebooks called like 01_vae" in answer["jane"][0]


# --- names -------------------------------------------------------------------------------------


def test_names_that_a_zip_writes_in_utf_8_without_saying_so(tmp_path):
    data = zipped({"M\u00fcller/01_vae.ipynb": book(), "b/01_vae.ipynb": book()})
    silent = bytearray(data)
    for at in range(len(silent) - 4):  # clear the UTF-8 flag in both headers of each member
        if silent[at : at + 4] == b"PK\3\4":
            silent[at + 7] &= ~8
        elif silent[at : at + 4] == b"PK\1\2":
            silent[at + 9] &= ~8
    (tmp_path / "week.zip").write_bytes(silent)
    with zipfile.ZipFile(tmp_path / "week.zip") as opened:
        assert "M\u00fcller/01_vae.ipynb" not in opened.namelist()
    assert [s.student for s in find(tmp_path / "week.zip", LESSON)] == ["b", "Müller"]


def test_names_in_the_old_encoding_and_with_backslashes(tmp_path):
    data = zipped({"J_rg\\01_vae.ipynb": book("j"), "b\\01_vae.ipynb": book("b")})
    (tmp_path / "week.zip").write_bytes(data.replace(b"J_rg", b"J\x94rg"))  # cp437 for ö
    assert told(find(tmp_path / "week.zip", LESSON)) == {"Jörg": ["j"], "b": ["b"]}


def test_odd_names_can_be_written_down(tmp_path):
    odd = {
        "\u202egnp.exe": "bidi",
        "two\nlines": "newline",
        "=HYPERLINK(1)": "formula",
        "x" * 240: "long",
        "Jose\u0301": "decomposed",
        "Jos\u00e9": "composed",
        "Jos\u00e9 (2)": "called as the second would be",
        os.fsdecode(b"\xff\xfe"): "no text",
    }
    for name, content in odd.items():
        laid_out(tmp_path, {f"{name}/01_vae.ipynb": book(content)})
    found = find(tmp_path, LESSON)
    assert sorted(x for contents in told(found).values() for x in contents) == sorted(odd.values())
    assert len({s.student for s in found}) == len(odd)  # two students of one name stay two
    assert len({s.source for s in found}) == len(odd)
    for s in found:
        line = f"{s.student} {s.source}"
        assert line.encode("utf-8") and len(s.student) <= 200
        assert not set(line) & set("\n\r\t\0\u202e")


# --- harm --------------------------------------------------------------------------------------

HONEST = {"jane/01_vae.ipynb": book("jane"), "zoe/01_vae.ipynb": book("zoe")}


def week(tmp_path, files):
    (tmp_path / "week.zip").write_bytes(zipped([*HONEST.items(), *files]))
    return tmp_path / "week.zip"


def others_are_well(found):
    answer = told(found)
    assert (answer.pop("jane"), answer.pop("zoe")) == (["jane"], ["zoe"])
    return answer


@pytest.mark.parametrize(
    "name",
    [
        "../jane/01_vae.ipynb",
        "/jane/01_vae.ipynb",
        "x/../jane/01_vae.ipynb",
        "C:\\jane\\01_vae.ipynb",
    ],
)
def test_path_traversal_reaches_nobody(tmp_path, name):
    before = sorted(tmp_path.rglob("*"))
    found = find(week(tmp_path, [(name, book("forged"))]), LESSON)
    ((student, (problem,)),) = others_are_well(found).items()
    assert student not in ("jane", "zoe")
    assert "leads out of the zip" in problem
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "week.zip"])


def test_path_traversal_in_a_student_s_own_zip(tmp_path):
    own = zipped({"../../jane/01_vae.ipynb": book("forged"), "/etc/01_vae.ipynb": book("forged")})
    answer = others_are_well(find(week(tmp_path, [("mallory.zip", own)]), LESSON))
    assert list(answer) == ["mallory"]
    assert all("leads out of the zip" in problem for problem in answer["mallory"])


def test_a_link_in_a_zip_is_not_followed(tmp_path):
    link = zipfile.ZipInfo("mallory/01_vae.ipynb")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    answer = others_are_well(find(week(tmp_path, [(link, b"/etc/passwd")]), LESSON))
    assert answer == {"mallory": ["It is a link to another place; links are not followed."]}


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_and_pipes_in_a_folder_are_not_followed(tmp_path):
    secret = laid_out(tmp_path / "secret", {"01_vae.ipynb": book("secret")})
    here = laid_out(tmp_path / "here", HONEST)
    for name in ("file", "folder", "theft", "pipe", "zip", "zip pipe"):
        (here / name).mkdir()
    (secret / "all.zip").write_bytes(zipped({"01_vae.ipynb": book("secret")}))
    (here / "zip" / "work.zip").symlink_to(secret / "all.zip")
    os.mkfifo(here / "zip pipe" / "work.zip")
    (here / "file" / "01_vae.ipynb").symlink_to(secret / "01_vae.ipynb")
    (here / "folder" / "sub").symlink_to(secret)
    (here / "theft" / "01_vae.ipynb").symlink_to(here / "jane" / "01_vae.ipynb")
    (here / "whole").symlink_to(secret)
    os.mkfifo(here / "pipe" / "01_vae.ipynb")
    found = find(here, LESSON)
    answer = others_are_well(found)
    assert "secret" not in str(answer) and "jane" not in str(answer)
    assert "is a link" in answer["file"][0]
    assert "is a link" in answer["theft"][0]
    assert "is a link" in answer["folder"][0]
    assert "is not an ordinary file" in answer["pipe"][0]
    assert "is a link" in answer["zip"][0]
    assert "is a link" in answer["whole"][0]
    assert "is not an ordinary file" in answer["zip pipe"][0]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
@pytest.mark.parametrize("kind", ["link", "pipe", "gone", "folder"])
def test_a_file_that_changes_after_it_was_found(tmp_path, kind):
    here = laid_out(tmp_path / "here", {"jane/01_vae.ipynb": book()})
    (found,) = find(here, LESSON)
    file = here / "jane" / "01_vae.ipynb"
    file.unlink()
    if kind == "link":
        file.symlink_to(laid_out(tmp_path, {"secret": b"secret"}) / "secret")
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    with pytest.raises(
        GradingError, match=r"01_vae\.ipynb (cannot be read|is not an ordinary file)"
    ):
        found.read()


def test_one_name_twice_in_a_zip_is_two_attempts(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = week(tmp_path, [("bob/01_vae.ipynb", book("1")), ("bob/01_vae.ipynb", book("2"))])
    found = find(path, LESSON)
    assert others_are_well(found) == {"bob": ["1", "2"]}
    assert [s.source for s in found if s.student == "bob"] == [
        "week.zip/bob/01_vae.ipynb",
        "week.zip/bob/01_vae.ipynb (2)",
    ]


def reported(
    data: bytes, name: bytes, offset_local: int, offset_central: int, value: bytes
) -> bytes:
    """A zip with a field of one member overwritten in both of its headers."""
    data = bytearray(data)
    for magic, size, offset in ((b"PK\3\4", 30, offset_local), (b"PK\1\2", 46, offset_central)):
        at = -1
        while (at := data.find(magic, at + 1)) >= 0:
            if data[at + size : at + size + len(name)] == name:
                data[at + offset : at + offset + len(value)] = value
    return bytes(data)


def test_names_made_to_take_long(tmp_path):
    """Patterns meet names of 65,000 letters: each is refused or read at once."""
    long = ["_" * 240, "copy " * 45, "1_" * 120, "a_1_1_" * 41, "(" * 240, "x" * 60_000]
    long += ["_1_assignsubmission_" * 12, "\\" * 9_000 + "a"]
    started = time.process_time()
    answer = others_are_well(find(week(tmp_path, [(f"{n}.ipynb", book()) for n in long]), LESSON))
    assert len(answer) == len(long)
    assert time.process_time() - started < 2


def test_an_encrypted_member(tmp_path):
    path = week(tmp_path, [("mallory/01_vae.ipynb", book())])
    path.write_bytes(reported(path.read_bytes(), b"mallory/", 6, 8, b"\1"))
    answer = others_are_well(find(path, LESSON))
    assert answer == {"mallory": ["It is encrypted with a password; ask for it without one."]}


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_ways_to_compress_that_cannot_be_bounded(tmp_path, method):
    bomb = zipfile.ZipInfo("mallory/01_vae.ipynb")
    bomb.compress_type = method
    answer = others_are_well(find(week(tmp_path, [(bomb, bytes(2**24))]), LESSON))
    assert "compressed in a way that is not read" in answer["mallory"][0]


@pytest.fixture
def small_limits(monkeypatch):
    monkeypatch.setattr(archive, "LARGEST", 2**20)


@pytest.mark.parametrize("honest", [True, False])
def test_a_zip_bomb(tmp_path, small_limits, honest):
    """What unfolds to more than the limit, whether it says so or not, is never held in memory."""
    path = week(tmp_path, [("mallory/01_vae.ipynb", bytes(2**26))])
    if not honest:
        path.write_bytes(reported(path.read_bytes(), b"mallory/", 22, 24, struct.pack("<I", 1000)))
    found = {s.student: s for s in find(path, LESSON)}
    assert json.loads(found["jane"].read())
    tracemalloc.start()
    with pytest.raises(GradingError, match=r"too large|damaged"):
        found["mallory"].read()
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def test_a_bomb_in_a_student_s_zip(tmp_path, small_limits):
    nested = bytes(2**24)
    for name in ("01_vae.ipynb", "a.zip", "b.zip", "c.zip"):
        nested = zipped({name: nested})
    bombs = [
        ("deep.zip", nested),
        ("wide.zip", zipped({"01_vae.ipynb": bytes(2**26)})),
    ]
    found = find(week(tmp_path, bombs), LESSON)
    problems = {}
    for s in found:
        try:
            s.read()
        except GradingError as error:
            problems[s.student] = str(error)
    assert sorted(problems) == ["deep", "wide"]
    assert "too large" in problems["wide"]


def test_a_zip_of_a_million_files(tmp_path):
    """Its table of contents is not even read; nobody else waits or loses."""
    size = archive.INNER_CONTENTS + 1
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, size, 0, 0)
    crowd = bytes(size) + end
    answer = others_are_well(find(week(tmp_path, [("mallory.zip", crowd)]), LESSON))
    assert "table of contents is too large" in answer["mallory"][0]


@pytest.mark.parametrize(
    "data",
    [b"", b"PK", b"no zip at all", zipped(HONEST)[:-30], zipped(HONEST)[:200], bytes(1000)],
    ids=["empty", "two bytes", "text", "end cut", "half", "zeros"],
)
def test_a_broken_zip(tmp_path, data):
    answer = others_are_well(find(week(tmp_path, [("mallory.zip", data)]), LESSON))
    assert list(answer) == ["mallory"] and "The zip is damaged" in answer["mallory"][0]
    (tmp_path / "broken.zip").write_bytes(data)
    with pytest.raises(GradingError, match=r"broken\.zip cannot be read as a zip"):
        find(tmp_path / "broken.zip", LESSON)


def test_every_broken_byte_is_a_sentence(tmp_path):
    """A flipped byte anywhere in a student's zip is his problem, and a GradingError at most."""
    good = zipped({"01_vae.ipynb": book()})
    for at in range(0, len(good)):
        bad = bytearray(good)
        bad[at] ^= 0xFF
        path = laid_out(tmp_path, {"w/mallory.zip": bytes(bad), "w/jane/01_vae.ipynb": book("j")})
        found = {s.student: s for s in find(path / "w", LESSON)}
        assert set(found) == {"jane", "mallory"}
        try:
            found["mallory"].read()
        except GradingError as error:
            assert str(error).endswith(".")


def test_random_bytes_for_names_and_trees(tmp_path):
    import random

    letters = random.Random(0)
    parts = ["..", "", ".", "01_vae.ipynb", "a", "b.zip", "submitted", "\\", "é", "x" * 300, "C:"]
    for trial in range(200):
        files = [
            ("/".join(letters.choices(parts, k=letters.randint(1, 6))) or "x", book(str(n)))
            for n in range(letters.randint(1, 6))
        ]
        path = tmp_path / f"{trial}.zip"
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as opened:
            for name, data in dict(files).items():
                opened.writestr(name, data)
        path.write_bytes(file.getvalue())
        try:
            found = find(path, LESSON)
        except GradingError:
            continue
        for s in found:
            try:
                s.read()
            except GradingError as error:
                assert str(error)


# --- calls -------------------------------------------------------------------------------------


def test_bad_calls(tmp_path):
    with pytest.raises(GradingError, match="There is no folder or file"):
        find(tmp_path / "nowhere", LESSON)
    (tmp_path / "empty").mkdir()
    with pytest.raises(GradingError, match=r"Nothing in .* looks like a submission"):
        find(tmp_path / "empty", LESSON)
    laid_out(tmp_path / "notes", {"README.md": b"x"})
    with pytest.raises(GradingError, match="Nothing in"):
        find(tmp_path / "notes", LESSON)
    with pytest.raises(GradingError, match="cannot be read as a zip"):
        find(tmp_path / "notes" / "README.md", LESSON)


def test_a_submission_travels(tmp_path):
    (tmp_path / "w.zip").write_bytes(zipped(HONEST))
    for s in find(tmp_path / "w.zip", LESSON):
        there = pickle.loads(pickle.dumps(s))
        assert there == s and there.read() == s.read()
        assert len(pickle.dumps(s)) < 2000
