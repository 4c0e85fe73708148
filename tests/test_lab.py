"""The learner's JupyterLab: which lesson it opens, what it says, and how it is set up."""

import json
import os
from importlib.metadata import distribution
from pathlib import Path

import pytest
from ipykernel.kernelspec import get_kernel_dict

from course_lib.files import last_lesson, remember_lesson
from course_lib.lab import server
from course_lib.syllabus import course

CONFIG = Path(server.__file__).parent / "config"
pytestmark = pytest.mark.usefixtures("own_settings")


@pytest.fixture
def shown(monkeypatch):
    """What a browser is asked to open; no Lab runs, and none is started."""
    pages = []
    monkeypatch.setattr(server, "tell", lambda what, url, shown, *_: pages.append((url, shown)))
    monkeypatch.setattr(server, "running", lambda folder: None)
    monkeypatch.setattr(server, "has_screen", lambda environment, platform: True)
    return pages


def test_it_opens_the_first_lesson_and_then_the_last_one_started():
    assert server.opened() == "00_start"
    remember_lesson("06_mode_collapse")
    assert server.opened() == last_lesson() == "06_mode_collapse"
    remember_lesson("a lesson that is gone")
    assert server.opened() == min(course().lessons)


@pytest.mark.parametrize(("arguments", "seen"), [([], True), (["--no-browser"], False)])
def test_a_second_lab_opens_the_first(shown, monkeypatch, arguments, seen):
    first = {"url": "http://localhost:8889/", "token": "abc", "root_dir": str(Path.cwd())}
    monkeypatch.setattr(server, "running", lambda folder: first)
    assert server.main(arguments) == 0
    assert shown == [("http://localhost:8889/lab/tree/00_start.ipynb?token=abc", seen)]


def test_a_running_lab_is_known_by_its_folder(monkeypatch, tmp_path):
    found = [{"root_dir": str(tmp_path / "other")}, {"root_dir": str(tmp_path), "port": 8890}]
    monkeypatch.setattr("jupyter_server.serverapp.list_running_servers", lambda: iter(found))
    assert server.running(tmp_path)["port"] == 8890
    assert server.running(tmp_path / "third") is None


def test_root_is_told_what_to_do(shown, monkeypatch, capsys):
    monkeypatch.setattr(server, "is_root", lambda: True)
    assert server.main([]) == 1
    said = capsys.readouterr().err
    assert said.strip().endswith("python course.py lab --allow-root")
    monkeypatch.setattr(server, "has_screen", lambda environment, platform: False)
    assert server.main(["--port=8890"]) == 1
    assert capsys.readouterr().err.strip().endswith("lab --allow-root --no-browser")
    assert shown == []


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"BROWSER": "wslview"}, "linux", True),
        ({}, "darwin", True),
        ({}, "win32", True),
    ],
)
def test_where_a_browser_can_be_opened(environment, platform, expected):
    assert server.has_screen(environment, platform) is expected


def test_the_course_s_settings_come_before_the_learner_s(tmp_path):
    environment = {"JUPYTER_PATH": "mine", "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "windows")}
    server.set_up(environment)
    assert environment["JUPYTER_PATH"].split(os.pathsep)[1] == "mine"
    assert environment["JUPYTER_CONFIG_PATH"] == str(CONFIG)
    (file,) = (tmp_path / "windows").iterdir()
    layout = json.loads(file.read_text())["data"]["layout-restorer:data"]
    assert layout["main"]["dock"]["widgets"] == ["notebook:00_start.ipynb"]  # and no Launcher
    file.write_text("the learner's own")
    server.set_up(environment)
    assert file.read_text() == "the learner's own"


def test_every_extension_for_instructors_is_off():
    on = json.loads(
        next(
            f.locate()
            for f in distribution("nbgrader").files
            if f.match("jupyter_server_config.d/nbgrader.json")
        ).read_text()
    )["ServerApp"]["jpserver_extensions"]
    off = json.loads((CONFIG / "jupyter_server_config.json").read_text())
    off = off["ServerApp"]["jpserver_extensions"]
    assert on and set(on) <= set(off) and not any(off.values())


def test_what_is_printed_goes_to_the_log_and_is_shown_where_it_fails(tmp_path, capfd):
    log = tmp_path / "state" / "lab.log"
    with server.only_in_log(log) as terminal:
        os.write(1, b"a line of the server's\n")
        os.system("echo a kernel >&2")
        print("the address", file=terminal)
    said = capfd.readouterr()
    assert said.out == "the address\n" and said.err == ""
    assert "a line of the server's" in log.read_text() and "a kernel" in log.read_text()
    with pytest.raises(SystemExit), server.only_in_log(log):
        os.write(2, b"The port 8890 is in use.\n")
        raise SystemExit(1)
    assert "The port 8890 is in use." in capfd.readouterr().err


def test_the_kernel_is_the_usual_one_with_the_course_s_extension():
    file = CONFIG.parent / "data" / "kernels" / "python3" / "kernel.json"
    ours, usual = json.loads(file.read_text()), get_kernel_dict()
    assert ours["argv"][0] == "python" and ours["argv"][-1] == "--ext=course_lib.kernel"
    assert set(usual["argv"][1:]) - {"-Xfrozen_modules=off"} == set(ours["argv"][1:-1])
    assert {k: v for k, v in ours.items() if k != "argv"} == {
        k: v for k, v in usual.items() if k != "argv"
    }
