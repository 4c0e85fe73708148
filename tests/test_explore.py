"""The panels with sliders, and the quizzes."""

from html import escape

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from figure_descriptions import Pictures

from course_lib import explore
from course_lib.explore import frames
from course_lib.explore.quiz import questions

pytestmark = pytest.mark.usefixtures("own_settings")


def test_explore_draws_once_with_the_defaults_and_again_when_a_control_moves():
    calls = []

    def figure(size, kind):
        calls.append((size, kind))
        return plt.figure(), f"{kind} of size {size:g}"

    slider = widgets.FloatSlider(value=2.5, max=10, description="how large")
    menu = widgets.Dropdown(options=["ring", "grid"])
    box = explore.explore(figure, size=slider, kind=menu)
    assert calls == [(2.5, "ring")]
    assert not slider.continuous_update
    readout, picture = box.children[-2:]
    assert Pictures(picture.value).alts == ["ring of size 2.5"]
    assert "how large: 2.5; kind: ring" in readout.value
    slider.value = 4
    menu.value = "grid"
    assert calls[1:] == [(4, "ring"), (4, "grid")]
    assert Pictures(picture.value).alts == ["grid of size 4"] and "how large: 4" in readout.value
    assert plt.get_fignums() == []


def test_an_error_in_the_figure_stops_the_cell_and_is_shown_later():
    def figure(x):
        if x > 1:
            raise KeyError("<boom>")
        return plt.figure(), "fine"

    with pytest.raises(KeyError):
        explore.explore(figure, x=widgets.IntSlider(value=2))
    slider = widgets.IntSlider(value=0)
    picture = explore.explore(figure, x=slider).children[-1]
    with pytest.raises(KeyError):
        slider.value = 3
    assert "&lt;boom&gt;" in picture.value
    slider.value = 1
    assert Pictures(picture.value).alts == ["fine"]


def test_explore_refuses_a_figure_without_description():
    with pytest.raises(ValueError, match="needs a description"):
        explore.explore(lambda: (plt.figure(), ""))


def test_the_quiz_answers_every_choice_and_keeps_the_score():
    asked = questions("00_start")
    *blocks, score = explore.quiz("00_start").children
    for number, (question, block) in enumerate(zip(asked, blocks, strict=True), start=1):
        title, choices, feedback = block.children
        assert f"<b>{number}. " in title.value and choices.value is None
        wrong = next(option for option in question.options if option != question.right)
        choices.value = wrong
        assert "Not quite." in feedback.value and escape(question.options[wrong]) in feedback.value
        assert f"{number - 1} of {len(asked)}" in score.value
        choices.value = question.right
        assert "Right." in feedback.value
        assert f"{number} of {len(asked)}" in score.value


def test_an_unknown_quiz_is_refused():
    with pytest.raises(ValueError, match="Did you mean '00_start'"):
        explore.quiz("00_star")


def test_frames_are_drawn_for_every_position_and_leave_the_random_numbers_alone(monkeypatch):
    calls, kept = [], []

    def figure(size, kind):
        calls.append((size, kind, np.random.random(), float(torch.rand(1))))
        return plt.figure(), f"{kind} of size {size:g}"

    monkeypatch.setattr(frames, "display", lambda data, raw: kept.append(data[frames.KIND]))
    controls = {
        "size": widgets.FloatSlider(value=0.5, min=0, max=1, step=0.25),
        "kind": widgets.Dropdown(options=[("a ring", "ring"), ("a grid", "grid")]),
    }
    np.random.seed(3)
    torch.manual_seed(3)
    expected = (np.random.random(), float(torch.rand(1)))
    np.random.seed(3)
    torch.manual_seed(3)
    frames.show_frames(figure, {"size": "how large", "kind": "kind"}, controls)
    assert (np.random.random(), float(torch.rand(1))) == expected
    (panel,) = kept
    assert [(size, kind) for size, kind, *_ in calls[1:4]] == [
        (0, "ring"),
        (0, "grid"),
        (0.25, "ring"),
    ]
    assert panel["positions"] == len(panel["frames"]) == 10
    assert panel["controls"][0]["texts"] == ["0", "0.25", "0.5", "0.75", "1"]
    assert [c["start"] for c in panel["controls"]] == [2, 0]
    assert panel["controls"][1]["texts"] == ["a ring", "a grid"]
    assert panel["frames"][1]["alt"] == "grid of size 0"
    assert plt.get_fignums() == []


def test_a_fine_panel_is_thinned_to_what_a_page_may_hold():
    fine = frames.positions("x", widgets.IntSlider(value=13, min=0, max=200))
    menu = frames.positions("y", widgets.Dropdown(options=list("abcd")))
    slider, letters = frames.chosen([fine, menu], frames.FRAMES)
    assert len(slider.values) == 20 and len(letters.values) == 4
    assert (slider.values[0], slider.values[-1]) == (0, 200)
    assert slider.values[slider.start] == 13 and list(slider.values) == sorted(slider.values)
    with pytest.raises(TypeError, match="no list of positions"):
        frames.positions("z", widgets.Text())
