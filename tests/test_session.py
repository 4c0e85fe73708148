"""What `session.start` sets up, and for which device."""

import random

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from course_lib import devices, session
from course_lib.syllabus import course

pytestmark = pytest.mark.usefixtures("own_settings")


def test_start_prints_one_line_and_hands_over_the_settings(capsys):
    started = session.start("01_vae", preset="cpu", seed=3)
    (line,) = capsys.readouterr().out.splitlines()
    for part in ("01", "Build a VAE", "device cpu", "preset cpu", "seed 3", "min to run"):
        assert part in line
    assert started.settings.vae.steps == course().lessons["01_vae"].presets["cpu"]["vae"]["steps"]
    assert plt.rcParams["image.cmap"] == "gray_r"


def test_an_unknown_lesson_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"Did you mean '01_vae'\? Known: '00_start'"):
        session.start("vae")


def test_settings_are_changed_where_the_session_starts(capsys):
    started = session.start("06_mode_collapse", preset="cpu", seeds=2, frozen={"after": 10})
    assert (started.settings.seeds, started.settings.frozen.after) == (2, 10)
    assert started.settings.frozen.steps == session.start("06_mode_collapse").settings.frozen.steps
    assert "changed: seeds 2, frozen {'after': 10}" in capsys.readouterr().out
    with pytest.raises(ValueError, match="Did you mean 'seeds'"):
        session.start("06_mode_collapse", seed_count=2)


@pytest.mark.parametrize("by", ["argument", "environment"])
def test_an_unknown_preset_is_refused_with_the_known_ones(by, monkeypatch):
    monkeypatch.setenv("COURSE_PRESET", "tpu" if by == "environment" else "")
    with pytest.raises(ValueError, match="Known: 'cpu', 'gpu'"):
        session.start("00_start", preset="tpu" if by == "argument" else None)


def test_the_preset_comes_from_argument_environment_hardware_in_this_order(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert session.start("01_vae").preset == "cpu"
    monkeypatch.setenv("COURSE_PRESET", "gpu")
    assert session.start("01_vae").preset == "gpu"
    assert devices.NO_GPU in capsys.readouterr().out
    assert session.start("01_vae", preset="cpu").preset == "cpu"
    monkeypatch.delenv("COURSE_PRESET")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with_gpu = session.start("01_vae")
    assert (with_gpu.preset, with_gpu.device.type) == ("gpu", "cuda")
    assert session.start("01_vae", preset="cpu").device.type == "cpu"


def test_what_a_gpu_does_not_help_stays_on_the_cpu_and_this_is_said(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    small = session.start("05_tables")
    assert (small.preset, small.device.type) == ("gpu", "cpu")
    assert devices.TOO_SMALL in capsys.readouterr().out


def test_a_preset_holds_what_it_changes_of_the_cpu_s():
    cpu, gpu = (course().lessons["05_tables"].settings(preset) for preset in ("cpu", "gpu"))
    changed = course().lessons["05_tables"].presets["gpu"]
    assert gpu.vae.width == cpu.vae.width and gpu.vae.steps == changed["vae"]["steps"]
    assert gpu.vae.steps > cpu.vae.steps
    for lesson in course().lessons.values():
        assert list(repeated(lesson.presets["cpu"], lesson.presets.get("gpu", {}))) == []


def repeated(base, changes):
    """What `changes` says again of `base`."""
    for key, value in changes.items():
        if isinstance(value, dict):
            yield from repeated(base[key], value)
        elif base.get(key) == value:
            yield key


@pytest.mark.parametrize("has_all", [True, False])
def test_apple_s_gpu_is_used_only_where_it_has_every_operation(has_all, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    if has_all:
        monkeypatch.setattr(devices, "fault_of", lambda device: "")
    for preset in (None, "gpu"):
        started = session.start("01_vae", preset=preset)
        assert started.device.type == ("mps" if has_all else "cpu")
        assert ("Apple's GPU cannot do all" in capsys.readouterr().out) is not has_all
        assert started.preset == (preset or "cpu")  # by itself it is no reason for a download
    assert session.start("01_vae", preset="cpu").device.type == "cpu"
    assert session.start("05_tables").device.type == "cpu"


def test_a_device_is_tried_before_it_is_used():
    assert devices.fault_of(torch.device("cpu")) == ""
    assert devices.fault_of(torch.device("meta")) != ""  # tensors without numbers


def test_start_seeds_every_global_generator():
    def draws(seed):
        session.start("00_start", preset="cpu", seed=seed)
        return random.random(), np.random.rand(), torch.rand(1).item()

    assert draws(1) == draws(1)
    assert not set(draws(1)) & set(draws(2))


@pytest.mark.parametrize(("value", "watching"), [("0", False), ("", False), ("1", True)])
def test_the_environment_says_whether_somebody_is_watching(value, watching, monkeypatch):
    monkeypatch.setenv("COURSE_INTERACTIVE", value)
    assert session.interactive() is watching


def test_recorded_runs_of_a_benchmark():
    runs = session.recorded("gan")
    assert runs.index.names == ["group", "run"] and (runs["classical_recall"] <= 0.01).all()
    with pytest.raises(ValueError, match="Did you mean 'gan'"):
        session.recorded("gam")
