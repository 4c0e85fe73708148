"""Whose submission it is: nobody gets another's mark, evades lateness, or blanks a row."""

import csv
import io
import json
import os
import unicodedata
import zipfile
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from course_lib.grading.errors import GradingError
from course_lib.grading.intake.submission import take_in
from course_lib.grading.lms import LAYOUTS, canvas, moodle
from course_lib.grading.lms.teams import for_members, read_teams
from course_lib.grading.result import Flag, Mark, Result
from course_lib.grading.summary import file_name, table

LESSON = "00_start"
# 100 examples a property, and 2,500 with COURSE_EXAMPLES=2500: 10,000 in all.
settings.register_profile(
    "course",
    max_examples=int(os.environ.get("COURSE_EXAMPLES", "100")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("course")


def book(text="x = 1") -> bytes:
    cell = {"cell_type": "code", "metadata": {}, "source": text, "outputs": []}
    return json.dumps(
        {"nbformat": 4, "nbformat_minor": 0, "metadata": {}, "cells": [cell]}
    ).encode()


def taken_in(tmp_path, names, layout="auto"):
    """A zip with a notebook of each of these names, whose text is the name."""
    file = tmp_path / "week.zip"
    with zipfile.ZipFile(file, "w") as opened:
        for name in names:
            opened.writestr(name, book(name) if name.endswith(".ipynb") else b"<p>see there</p>")
    return take_in(file, LESSON, layout)


def who(found):
    return [(s.student, s.student_id, s.late) for s in found.submissions]


def result_of(submission, points=1.0) -> Result:
    mark = Mark("start.fit_gaussian", "Fit", points, 1.0, "tag", ())
    return Result(
        submission.student,
        submission.source,
        LESSON,
        (mark,),
        (Flag("identity", submission.doubt),) if submission.doubt else (),
        student_id=submission.student_id,
        layout=submission.layout,
        late=submission.late,
    )


def content(submission):
    """The name of its file, which `taken_in` has written into it."""
    return json.loads(submission.read())["cells"][0]["source"]


def rows(text):
    return list(csv.reader(io.StringIO(text, newline="")))


# --- Moodle ------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", "_"])  # since 4.1, and before
def test_moodle_s_folders_of_today_and_of_old(tmp_path, end):
    found = taken_in(
        tmp_path,
        [
            f"Jane Doe_123456_assignsubmission_file{end}/00_start.ipynb",
            f"Bob Roe_123457_assignsubmission_file{end}/00_start.ipynb",
            f"Bob Roe_123457_assignsubmission_onlinetext{end}/onlinetext.html",
        ],
    )
    assert who(found) == [("Bob Roe", "123457", False), ("Jane Doe", "123456", False)]
    assert str(found) == "Moodle, 2 students"
    assert not any(s.problem or s.doubt for s in found.submissions)


def test_a_file_s_own_name_is_no_part_of_moodle_s(tmp_path):
    evil = "Jane Doe_123456_assignsubmission_file_00_start.ipynb"
    found = taken_in(
        tmp_path,
        [
            "Jane Doe_123456_assignsubmission_file_00_start.ipynb",
            "Bob Roe_123457_assignsubmission_file_00_start.ipynb",
            f"Mallory X_123499_assignsubmission_file_{evil}",
        ],
    )
    assert who(found) == [
        ("Bob Roe", "123457", False),
        ("Jane Doe", "123456", False),
        ("Mallory X", "123499", False),
    ]


def test_one_who_is_missing_from_the_worksheet_costs_nobody_else_a_mark(tmp_path):
    names = ["Jane Doe_1_assignsubmission_file/00_start.ipynb"]
    names += ["Ann_2_assignsubmission_file/00_start.ipynb"]
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("Identifier,Full name,Grade\nParticipant 1,Jane Doe,\nParticipant 3,Bob,\n")
    results = [result_of(s) for s in taken_in(tmp_path, names).submissions]
    text, notices = moodle.worksheet(results, given=sheet)
    assert [row[2] for row in rows(text)[1:]] == ["1", ""]
    assert len(notices) == 1 and "no row for Ann (id 2)" in notices[0]


# --- Canvas ------------------------------------------------------------------------------------


def test_a_file_s_own_name_changes_nothing_in_canvas(tmp_path):
    found = taken_in(
        tmp_path,
        [
            "doejane_LATE_11_1001_00_start.ipynb",
            "mallory_LATE_14_1009_x_900014_assignsubmission_file_00_start.ipynb",
            "moe_15_1010_x_13_assignsubmission_file_00_start.ipynb",
        ],
    )
    assert found.layout == "Canvas"
    assert who(found) == [("doejane", "11", True), ("mallory", "14", True), ("moe", "15", False)]


def test_text_and_link_entries_leave_canvas_canvas(tmp_path):
    found = taken_in(
        tmp_path,
        [
            "doejane_LATE_11_1001_00_start.ipynb",
            "roebob_12_text.html",
            "poeann_LATE_13_link.html",
        ],
    )
    assert found.layout == "Canvas"
    assert who(found) == [("doejane", "11", True), ("poeann", "13", True), ("roebob", "12", False)]
    assert sum(bool(s.problem) for s in found.submissions) == 2


def test_another_lms_s_number_is_nobody_s_sis_id(tmp_path):
    """A number in a file's name once credited whoever had it as their SIS id."""
    roster = tmp_path / "roster.csv"
    roster.write_text(
        "Student,ID,SIS User ID,SIS Login ID,Section,A\n"
        '"Doe, Jane",11,s11,jdoe,A,\n"Poe, Ann",130,13,apoe,A,\n'
    )
    for layout in ("moodle", "canvas"):
        stranger = Result("x", "x.ipynb", LESSON, result_of_nobody, student_id="13", layout=layout)
        text, notices = canvas.gradebook([stranger], "A", roster=roster)
        assert [row[-1] for row in rows(text)[1:]] == ["", ""]
        assert len(notices) == 1


result_of_nobody = (Mark("start.fit_gaussian", "Fit", 1.0, 1.0, "tag", ()),)


def test_a_name_that_holds_a_classmate_s_id_needs_a_person(tmp_path):
    """Canvas lets students choose the name by which they are sorted."""
    found = taken_in(
        tmp_path,
        [
            "doejane_11_1001_00_start.ipynb",
            "doejane_11_5_14_1009_00_start.ipynb",
            "roebob_12_1002_my 00_start.ipynb",
        ],
    )
    doubts = {s.source.rpartition("/")[2]: bool(s.doubt) for s in found.submissions}
    assert doubts == {
        "doejane_11_1001_00_start.ipynb": True,  # two of one name and id: a person looks at both
        "doejane_11_5_14_1009_00_start.ipynb": True,
        "roebob_12_1002_my 00_start.ipynb": False,
    }


def test_a_lesson_s_own_number_is_no_doubt(tmp_path):
    file = tmp_path / "w.zip"
    with zipfile.ZipFile(file, "w") as opened:
        for name in ("doejane_11_1001_10_audit_bias.ipynb", "roe_12_1002_10_audit_bias-1.ipynb"):
            opened.writestr(name, book(name))
    found = take_in(file, "10_audit_bias")
    assert who(found) == [("doejane", "11", False), ("roe", "12", False)]
    assert not any(s.doubt for s in found.submissions)


# --- the layout --------------------------------------------------------------------------------


def test_a_layout_that_is_given_overrules(tmp_path):
    names = ["doejane_11_1001_x_5_assignsubmission_file_00_start.ipynb"]
    with pytest.raises(GradingError, match="--layout moodle or --layout canvas"):
        taken_in(tmp_path, names)
    assert who(taken_in(tmp_path, names, "canvas")) == [("doejane", "11", False)]
    assert who(taken_in(tmp_path, names, "moodle")) == [("doejane_11_1001_x", "5", False)]
    assert taken_in(tmp_path, names, "folder").layout == "Collected by hand"
    with pytest.raises(GradingError, match="not a download from Gradescope"):
        taken_in(tmp_path, names, "gradescope")
    with pytest.raises(GradingError, match="the known ones are auto, folder"):
        taken_in(tmp_path, names, "blackboard")


def test_what_a_person_has_added_leaves_the_layout(tmp_path):
    names = [f"s{n}_1{n}_10{n}_00_start.ipynb" for n in range(3)] + ["late by mail.ipynb"]
    found = taken_in(tmp_path, names)
    assert found.layout == "Canvas"
    assert ("late by mail", "", False) in who(found)


# --- by hand -----------------------------------------------------------------------------------


def test_names_that_look_alike_are_told_to_a_person_and_never_merged(tmp_path):
    nfc, nfd = (unicodedata.normalize(form, "José") for form in ("NFC", "NFD"))
    names = [f"{n}/00_start.ipynb" for n in (" jane", "jane", "bob", nfc, nfd)]
    found = taken_in(tmp_path, names)
    assert [s.student for s in found.submissions] == ["bob", "jane", "jane (2)", "José", "José (2)"]
    assert [bool(s.doubt) for s in found.submissions] == [False, True, True, True, True]
    told = {s.student: content(s) for s in found.submissions}
    assert told["jane"] == "jane/00_start.ipynb"  # who is called exactly so keeps the name
    assert told["José"] == f"{nfc}/00_start.ipynb"


def test_copies_of_lesson_00_and_of_one_s_own_file(tmp_path):
    found = taken_in(
        tmp_path, ["jane/00_start.ipynb", "jane/00_start (1).ipynb", "bob/00_start.ipynb"]
    )
    assert [(s.student, s.attempt) for s in found.submissions] == [
        ("bob", 1),
        ("jane", 1),
        ("jane", 2),
    ]
    assert "(1)" in found.submissions[-1].source
    names = ["jane_00_start.ipynb", "jane_00_start (1).ipynb", "bob.ipynb"]
    found = taken_in(tmp_path, names)
    assert [(s.student, s.attempt) for s in found.submissions] == [
        ("bob", 1),
        ("jane", 1),
        ("jane", 2),
    ]
    assert "(1)" in found.submissions[-1].source


def test_long_names_leave_the_table_a_table():
    long = Result("x" * 300, "x.ipynb", LESSON, result_of_nobody)
    third = replace(long, student="a", decided=1 / 3)
    assert " 0.33 " in table([third])  # as in grades.csv
    assert max(map(len, table([long]).splitlines())) < 80
    names = {file_name(replace(long, student=f"{'x' * 299}{letter}")) for letter in "ab"}
    assert len(names) == 2 and all(len(name.encode()) < 200 for name in names)


# --- teams -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "group_name,canvas_user_id,name\nTeam Blue,1,Jane\nTeam Blue,2,Bob\n,3,Ann\n",
        "Identifier,Full name,Grade,Group\nParticipant 1,Jane,,Team Blue\nParticipant 2,Bob,,Team Blue\n",
        "team,member,id\nteam  blue,Jane,1\nTeam Blue,Bob,2\n",
    ],
)
def test_a_team_s_mark_is_every_member_s(tmp_path, text):
    file = tmp_path / "teams.csv"
    file.write_text(text)
    names = ["Team Blue_17_assignsubmission_file_00_start.ipynb"]
    names += ["Ann_3_assignsubmission_file_00_start.ipynb"]
    results = [result_of(s) for s in taken_in(tmp_path, names).submissions]
    told = for_members(results, read_teams(file))
    assert [(r.student, r.student_id) for r in told] == [("Ann", "3"), ("Jane", "1"), ("Bob", "2")]
    assert len({r.source for r in told}) == 2
    with pytest.raises(GradingError, match="no columns group and name"):
        file.write_text("a,b\n1,2\n")
        read_teams(file)


# --- properties --------------------------------------------------------------------------------

# What a student may call a file, with the words of all systems in it.
WORDS = st.sampled_from(
    [
        "_",
        "11",
        "1001",
        "_LATE_",
        "LATE",
        "assignsubmission_file",
        "doejane",
        "Jane Doe",
        "x",
        " ",
        "00_start",
        "(1)",
        "submission_11",
        "(jdoe)",
        "-1",
        ".",
        "José",
        "José",
        "text.html",
    ]
)
OWN_NAME = st.lists(WORDS, min_size=1, max_size=8).map("".join).map(lambda name: f"{name}.ipynb")
ZIPS = {
    "canvas": ("doejane_11_1001_00_start.ipynb", "roebob_LATE_12_1002_00_start.ipynb"),
    "moodle": (
        "Jane Doe_11_assignsubmission_file_00_start.ipynb",
        "Bob Roe_12_assignsubmission_file_00_start.ipynb",
    ),
}
PREFIX = {"canvas": "mallory_LATE_14_1009_", "moodle": "Mallory X_14_assignsubmission_file_"}
EACH_LAYOUT = pytest.mark.parametrize("layout", ["canvas", "moodle"])


@pytest.mark.slow
@EACH_LAYOUT
@given(name=OWN_NAME)
def test_no_name_of_a_file_changes_another_s_row(layout, name, tmp_path_factory):
    assume(len(name) < 150 and "/" not in name)
    folder = tmp_path_factory.getbasetemp()
    honest = {(s.student, s.student_id, s.late) for s in taken_in(folder, ZIPS[layout]).submissions}
    found = taken_in(folder, [*ZIPS[layout], PREFIX[layout] + name]).submissions
    others = [s for s in found if content(s) != PREFIX[layout] + name]
    assert {(s.student, s.student_id, s.late) for s in others} == honest
    (mine,) = [s for s in found if s not in others]
    assert mine.doubt or (mine.student_id == "14" and mine.late == (layout == "canvas"))
    assert mine.layout == layout


@given(name=OWN_NAME)
def test_no_file_name_takes_a_row_of_a_roster(name, tmp_path_factory):
    assume(len(name) < 150)
    folder = tmp_path_factory.getbasetemp()
    roster = folder / "roster.csv"
    roster.write_text(
        "Student,ID,SIS User ID,SIS Login ID,Section,A\n"
        '"Doe, Jane",11,1001,doejane,A,\n"Roe, Bob",12,x,roebob,A,\n"Mallory",14,14a,mal,A,\n'
    )
    found = taken_in(folder, [*ZIPS["canvas"], PREFIX["canvas"] + name]).submissions
    points = {False: 0.25, True: 0.75}
    results = [result_of(s, points[content(s) == PREFIX["canvas"] + name]) for s in found]
    text, _ = canvas.gradebook(results, "A", roster=roster)
    marks = {row[1]: row[-1] for row in rows(text)[1:]}
    assert marks["11"] in ("0.25", "") and marks["12"] in ("0.25", "")
    if not any(s.doubt for s in found):
        assert marks == {"11": "0.25", "12": "0.25", "14": "0.75"}


NAMES = st.lists(
    st.text(st.characters(exclude_characters="/\\\0", codec="utf-8"), min_size=1, max_size=12),
    min_size=1,
    max_size=6,
    unique=True,
)


@pytest.mark.slow
@given(names=NAMES)
def test_every_folder_is_one_student_and_no_two_share_a_name(names, tmp_path_factory):
    names = [n for n in names if n.strip(" .") and not n.startswith(".") and ":" not in n]
    assume(len(names) > 1)
    paths = [f"{name}/00_start.ipynb" for name in names]
    found = taken_in(tmp_path_factory.getbasetemp(), paths, "folder").submissions
    read = [content(s) for s in found if not s.problem]
    assert sorted(read) == sorted(paths)
    labels = [(s.student, s.student_id) for s in found]
    assert len(set(labels)) == len(labels) == len({file_name(s) for s in found})
    for s in found:  # a name that is as another's looks is never without a doubt
        same = [t for t in found if t is not s and t.student.casefold() == s.student.casefold()]
        assert not same or s.doubt


def test_every_layout_is_known_by_its_name():
    assert list(LAYOUTS) == [layout.name for layout in LAYOUTS.values()]
