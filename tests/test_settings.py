"""Settings are typed: what a model does not know is refused, and no lesson's table holds it."""

import json
from dataclasses import FrozenInstanceError, dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from course_lib.mode_collapse.diffusion_control import control
from course_lib.mode_collapse.image_gans import ImageGANSettings
from course_lib.models import diffusion
from course_lib.models.classifier import ClassifierSettings
from course_lib.models.diffusion import MLPDiffusion, UNetDiffusion
from course_lib.models.flow import FlowSettings
from course_lib.models.gan import GANSettings
from course_lib.models.vae import VAESettings
from course_lib.syllabus import Settings, course

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
# The tables that are handed to a model of the library as a whole, by lesson.
TABLES = {
    "01_vae": {"cvae": VAESettings, "mnist": VAESettings},
    "02_gan": {"conditional": GANSettings, "mnist": GANSettings},
    "03_diffusion": {
        "fair.vae": VAESettings,
        "fair.gan": GANSettings,
    },
    "04_style": {"style": GANSettings, "plain": GANSettings, "mnist": GANSettings},
    "06_mode_collapse": {"stacked": ImageGANSettings},
    "07_cure_and_steer": {"base": ImageGANSettings, "tuned": ImageGANSettings},
    "08_model_collapse": {"vae": VAESettings},
    "09_audit_fidelity": {"vae": VAESettings, "gan": GANSettings, "diffusion": MLPDiffusion},
    "10_audit_bias": {"diffusion": MLPDiffusion, "gan": GANSettings},
    "12_healthcare": {"artist": MLPDiffusion, "reader": ClassifierSettings},
    "19_flow": {
        "flow": FlowSettings,
        "further": FlowSettings,
        "small": FlowSettings,
        "voice": FlowSettings,
        "autoencoder": VAESettings,
    },
}
PRESETS = [
    pytest.param(lesson, preset, id=f"{name}-{preset}")
    for name, lesson in course().lessons.items()
    for preset in lesson.presets
]


@dataclass(frozen=True, kw_only=True)
class Walk(Settings):
    steps: int
    width: float = 1.0


@pytest.mark.parametrize("form", [dict, lambda table: SimpleNamespace(**table)])
def test_a_table_becomes_settings(form):
    walk = Walk.of(form({"steps": 3}))
    assert walk == Walk(steps=3) and Walk.of(walk) is walk
    with pytest.raises(FrozenInstanceError):
        walk.steps = 4


def test_unknown_and_missing_settings_are_refused_with_the_known_ones():
    said = r"no setting in Walk called 'widht'. Did you mean 'width'\? Known: 'steps', 'width'"
    with pytest.raises(ValueError, match=said):
        Walk.of({"steps": 3, "widht": 2.0})
    with pytest.raises(ValueError, match="Walk needs values for steps"):
        Walk.of({"width": 2.0})


def test_another_model_s_settings_are_refused():
    with pytest.raises(ValueError, match="no setting in VAESettings called 'channels'"):
        VAESettings.of(GANSettings(steps=1, learning_rate=1.0, ema_decay=0.9))


def test_the_type_says_which_network_denoises(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_STATE", str(tmp_path))
    x, y = torch.zeros(8, 64), torch.arange(8) % 2
    table = {"steps": 1, "learning_rate": 1e-3, "ema_decay": 0.9}
    perceptron = MLPDiffusion(**table, width=8, depth=1)
    made = diffusion.conditional_diffusion(x, y, perceptron).network
    assert isinstance(made, diffusion.Denoiser) and len(made.blocks) == 1
    made = diffusion.conditional_diffusion(x, y, UNetDiffusion(**table, channels=8)).network
    assert isinstance(made, diffusion.UNet) and made.classes == 2
    with pytest.raises(ValueError, match="no setting in MLPDiffusion called 'channels'"):
        diffusion.conditional_diffusion(x, y, SimpleNamespace(**table, channels=8))


def test_every_lesson_with_tables_is_there():
    assert set(TABLES) < set(course().lessons)


@pytest.mark.parametrize(("lesson", "preset"), PRESETS)
def test_a_lesson_s_tables_fit_their_models_and_all_else_is_read_by_its_notebook(lesson, preset):
    book = json.loads((NOTEBOOKS / f"{lesson.id}.ipynb").read_text(encoding="utf-8"))
    code = "\n".join("".join(c["source"]) for c in book["cells"] if c["cell_type"] == "code")
    kinds = TABLES.get(lesson.id, {})

    def check(table, path):
        if path in kinds:
            kinds[path].of(table)
        for name, value in vars(table).items():
            if isinstance(value, SimpleNamespace):
                check(value, f"{path}.{name}".strip("."))
            elif path not in kinds:
                # a lesson may also take all values of a small table at once
                assert f".{name}" in code or f"vars(settings.{path})" in code, f"{path}.{name}"

    settings = lesson.settings(preset)
    check(settings, "")
    for path in kinds:
        table = settings
        for name in path.split("."):
            table = getattr(table, name)  # each named table is there


def test_a_preset_changes_only_what_the_cpu_preset_has():
    lesson = replace(
        course().lessons["05_tables"],
        presets={"cpu": {"vae": {"steps": 5}}, "gpu": {"vae": {"stepz": 3}}},
    )
    assert lesson.settings("cpu").vae.steps == 5
    with pytest.raises(ValueError, match="in the cpu preset called 'stepz'"):
        lesson.settings("gpu")


@pytest.mark.parametrize("benchmark", ["ring", "grid"])
def test_the_control_says_how_it_is_trained(benchmark):
    assert control(benchmark).steps > 0


def test_an_unknown_control_is_refused():
    with pytest.raises(ValueError, match="Did you mean 'ring'"):
        control("rings")
