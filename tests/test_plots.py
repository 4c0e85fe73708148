"""Figures with a description, and the dashboard of a training."""

import warnings
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from figure_descriptions import Pictures

from course_lib import plots, training

pytestmark = pytest.mark.usefixtures("own_settings")


@pytest.mark.parametrize("alt", ["", "  \n", None])
def test_a_figure_without_description_is_refused(alt):
    with pytest.raises(ValueError, match="needs a description"):
        plots.show(plt.figure(), alt=alt)


def test_a_description_reaches_the_page_whole_and_the_figure_is_closed():
    alt = 'Loss < 1 & "falling" <b>fast</b>'
    content = plots.bundle(plt.figure(), f" {alt} ".replace(" <b>", "\n<b>"))
    assert Pictures(content["text/html"]).alts == [alt]
    assert content["text/plain"] == alt
    assert content["image/png"] in content["text/html"]
    assert plt.get_fignums() == []


@pytest.fixture
def displays(monkeypatch):
    """What was displayed: a list of [first content, later contents ...], one for each handle."""
    shown = []

    def display(content, raw, display_id=False):
        assert raw
        shown.append([content])
        return SimpleNamespace(update=lambda content, raw: shown[-1].append(content))

    monkeypatch.setattr(plots.dashboard, "display", display)
    return shown


def train_with_dashboard(steps, samples=None, every=0.0):
    with plots.Dashboard("VAE", every=every) as dashboard:
        for step in training.training_loop(lambda _: 2.0, [torch.zeros(2)], steps=steps):
            dashboard.update(step, samples=samples, extra={"held out": 3.0})


def test_the_dashboard_draws_once_when_nobody_is_watching(displays):
    calls = []
    train_with_dashboard(4, samples=lambda: calls.append(1) or np.zeros((2, 8, 8)))
    ((content,),) = displays
    assert len(calls) == 1
    for part in ("VAE: step 4 of 4", "loss 2", "held out 3", "2 samples"):
        assert part in content["text/plain"]


def test_the_dashboard_redraws_in_one_place_when_somebody_is_watching(displays, monkeypatch):
    monkeypatch.setenv("COURSE_INTERACTIVE", "1")
    train_with_dashboard(3)
    (contents,) = displays
    assert [c["text/plain"][:16] for c in contents[:3]] == [
        f"VAE: step {n} of 3" for n in (1, 2, 3)
    ]
    assert all(Pictures(content["text/html"]).alts for content in contents)


def test_the_dashboard_does_not_redraw_too_often(displays, monkeypatch):
    monkeypatch.setenv("COURSE_INTERACTIVE", "1")
    train_with_dashboard(20, every=60.0)
    assert [len(contents) for contents in displays] == [2]  # the first step and the end


def test_the_dashboard_shows_what_was_reached_before_a_failure(displays):
    with pytest.raises(KeyboardInterrupt), plots.Dashboard("VAE") as dashboard:
        dashboard.update(training.Step(1, 9, {"loss": 1.0}))
        raise KeyboardInterrupt
    assert "step 1 of 9" in displays[0][0]["text/plain"]


@pytest.mark.parametrize("shape", [(3, 64), (8, 8), (0, 8, 8), (2, 1, 8, 8)])
def test_an_image_grid_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"\(n, height, width\)"):
        plots.image_grid(np.zeros(shape))


def test_an_image_grid_holds_every_image_in_its_place():
    images = np.arange(1, 6).reshape(5, 1, 1) * np.ones((5, 2, 2))
    sheet = np.asarray(plots.image_grid(images, columns=3).axes[0].images[0].get_array())
    assert sheet.shape == (2 * 3 + 1, 3 * 3 + 1)
    assert [sheet[1, 1], sheet[2, 5], sheet[1, 8], sheet[4, 1], sheet[5, 5]] == [1, 2, 3, 4, 5]


def test_watching_a_training_does_not_change_it(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_INTERACTIVE", "1")
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with plots.Dashboard("watched", every=0.0) as dashboard:
        dashboard.update(training.Step(1, 2, {"loss": 1.0}), lambda: torch.rand(4, 8, 8))
    torch.testing.assert_close(torch.rand(2), expected)


def test_a_picture_as_a_cell_s_last_value_is_shown_with_its_description_and_closed():
    picture = plots.curves([1, 2], {"a": [0.5, 0.7]}, xlabel="x", ylabel="y", title="t")
    content = picture._repr_mimebundle_()
    assert Pictures(content["text/html"]).alts == [picture.alt]
    assert plt.get_fignums() == []


def test_several_runs_of_a_curve_give_their_median_and_their_range():
    runs = np.array([[1.0, 2.0], [3.0, 4.0], [8.0, 5.0]])
    picture = plots.curves([10, 20], {"a": runs}, xlabel="x", ylabel="y", title="t")
    (ax,) = picture.figure.axes
    assert list(ax.lines[0].get_ydata()) == [3, 4]
    low, high = (
        getattr(ax.collections[0].get_paths()[0].vertices[:, 1], f)() for f in ("min", "max")
    )
    assert (low, high) == (1, 8)
    assert "median of 3 runs" in picture.alt and "lowest 3 at 10, highest 4 at 20" in picture.alt


def test_a_description_follows_its_data():
    def alts(values):
        yield plots.curves([1, 2], {"a": values}, xlabel="x", ylabel="y", title="t").alt
        yield plots.histograms({"a": values}, xlabel="x", title="t").alt
        yield plots.scatter({"p": {"a": np.outer(values, [1, 1])}}).alt
        yield plots.before_after(["a", "b"], values, [0, 0], xlabel="x", title="t").alt
        rows = {str(i): (value, value - 1, value + 1) for i, value in enumerate(values)}
        yield plots.intervals({"g": rows}, xlabel="x", title="t").alt
        yield plots.image_rows({"a": np.outer(values, np.ones(4))}, title="t").alt

    for one, other in zip(alts([1.0, 2.0]), alts([1.0, 7.0]), strict=True):
        assert one != other
    plt.close("all")


def test_image_rows_put_each_image_in_its_row_and_its_column():
    rows = {"one": np.full((2, 4), 1.0), "two": np.array([[2.0] * 4, [3.0] * 4])}
    picture = plots.image_rows(rows, title="t", columns=["a", "b"])
    (ax,) = picture.figure.axes
    sheet = np.asarray(ax.images[0].get_array())
    assert [sheet[1, 1], sheet[1, 4], sheet[4, 1], sheet[4, 4]] == [1, 1, 2, 3]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["one", "two"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b"]
    with pytest.raises(ValueError, match="one shape and number"):
        plots.image_rows({"one": np.zeros((2, 4)), "two": np.zeros((3, 4))}, title="t")


def test_a_band_around_a_curve_has_the_width_that_was_given():
    given = {"xlabel": "x", "ylabel": "y", "title": "t"}
    picture = plots.curves([1, 2], {"a": [3.0, 4.0]}, around={"a": [0.5, 1.0]}, **given)
    (ax,) = picture.figure.axes
    edges = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (edges.min(), edges.max()) == (2.5, 5)
    assert "a band of 0.5 on each side at first and 1 at last" in picture.alt
    with pytest.raises(ValueError, match="no line called 'b'"):
        plots.curves([1, 2], {"a": [3.0, 4.0]}, around={"b": [0.5, 1.0]}, **given)
    plt.close("all")


def test_panels_of_points_share_their_axes_unless_told_otherwise():
    panels = {str(i): {"a": [[0, 0], [i, 10 * i]]} for i in range(1, 7)}
    shared, own = plots.scatter(panels), plots.scatter(panels, shared=False)
    assert len({ax.get_xlim() for ax in shared.figure.axes}) == 1
    assert len({ax.get_xlim() for ax in own.figure.axes}) == 6
    rows = {round(ax.get_position().y0, 3) for ax in shared.figure.axes}
    assert len(rows) == 2  # three panels each
    with pytest.raises(ValueError, match="6 sets of points; at most 5"):
        plots.scatter({"p": {str(i): [[0, 0]] for i in range(6)}})
    plt.close("all")


def test_a_set_without_points_is_named_and_nothing_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = plots.scatter({"kept 0 %": {"kept": np.zeros((0, 2)), "modes": [[0, 1]]}})
    assert "kept 0 %: no kept; 1 modes around (0, 1)" in picture.alt
    plt.close(picture.figure)


def test_intervals_of_two_groups_stand_above_each_other():
    groups = {"one": {"a": (1, 0, 3), "b": (2, 1, 4)}, "two": {"b": (5, 4, 6)}}
    picture = plots.intervals(groups, xlabel="x", title="t", level=0)
    (ax,) = picture.figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["b", "a"]  # from below
    first, second = (container.lines[0] for container in ax.containers)
    assert list(first.get_xdata()) == [1, 2] and list(second.get_xdata()) == [5]
    assert first.get_ydata()[1] > second.get_ydata()[0] > -0.5
    # The legend covers none of them.
    picture.figure.draw_without_rendering()
    (legend,) = picture.figure.legends
    assert legend.get_window_extent().y1 <= ax.get_tightbbox().y0
    picture = plots.intervals(groups, xlabel="x", title="t", xlim=(0, 20))
    assert picture.figure.axes[0].get_xlim() == (0, 20)
    plt.close("all")


def test_a_curve_of_another_length_than_x_is_refused():
    with pytest.raises(ValueError, match="'a' has 3 values, and x has 2"):
        plots.curves([1, 2], {"a": [1, 2, 3]}, xlabel="x", ylabel="y", title="t")


def test_a_logarithmic_axis_over_less_than_two_powers_of_ten_can_be_read():
    x, lines = [1, 2, 20], {"flow": [6.3, 2.6, 1.6]}
    picture = plots.curves(
        x, lines, xlabel="steps", ylabel="FD", title="Few steps", log="xy", levels={"the floor": 1}
    )
    (ax,) = picture.figure.axes
    picture.figure.canvas.draw()
    low, high = ax.get_ylim()
    marks = zip(ax.yaxis.get_minorticklocs(), ax.yaxis.get_minorticklabels(), strict=True)
    said = [label.get_text() for at, label in marks if low <= at <= high]
    assert said == ["2", "5"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["flow", "the floor: 1"]


def test_contours_lie_around_the_set_that_is_named(rng):
    two = {"real": rng.normal(size=(300, 2)), "made": rng.normal(size=(300, 2)) + 9}
    for name, middle in (("real", 0), ("made", 9)):
        axes = plots.scatter({"a model": two}, contours=name).figure.axes[0]
        lines = np.concatenate([p.vertices for c in axes.collections for p in c.get_paths()])
        np.testing.assert_allclose(lines.mean(axis=0), middle, atol=1)
    assert not plots.scatter({"a model": two}).figure.axes[0].collections
