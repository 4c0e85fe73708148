"""Lessons at a few steps: an IPython extension for a test's kernel, and the settings that load it.

Trainings are cut short, so what the lessons claim of whole trainings is left out: their assertions. On
request every other setting is changed as well, as a learner may.
"""

import ast
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

FEW, FEWEST = 100, 20  # some lessons look at a training after 100 steps; large images are slow
RECIPE = 2000  # lesson 06 compares what comes before 1,000 and after 1,500 steps of a recipe
# What else takes time: draws of a null, rows of a table, generations of a loop, factories and days ahead.
MOST = {
    "nulls": 20,
    "loans": 4000,
    "moons_generations": 6,
    "drawn": 4000,
    "factories": 1,
    "ahead": 2,
}
LARGE = {"channels": 8}  # networks of large images
AUDITED = 500  # rows of each table of an audit
TREES = 60  # of a boosted model; with fewer, lesson 16 sees no setting that is safe
CHANGED = "COURSE_SETTINGS_CHANGED"  # an environment variable: change all other settings, too
CONFIG = f"""
import sys

sys.path.append({str(Path(__file__).parent)!r})
c.InteractiveShellApp.extensions = [{__name__!r}]
"""


def environment(folder):
    """The environment variables of a kernel that runs its notebook at a few steps.

    Args:
        folder: gets IPython's settings, which load this module as an extension.
    """
    profile = Path(folder) / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text(CONFIG)
    return {"IPYTHONDIR": str(folder)}


def load_ipython_extension(shell):
    """Called by IPython when the kernel starts."""
    import interruptions
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    from course_lib import audit, devices
    from course_lib.mode_collapse import point_gans
    from course_lib.models import classifier
    from course_lib.syllabus import Lesson

    shell.ast_transformers.append(WithoutClaims())
    settings = Lesson.settings
    change = changed if os.environ.get(CHANGED) else lambda table: table
    Lesson.settings = lambda lesson, preset, **changes: change(
        shortened(settings(lesson, preset, **changes))
    )
    recipes = point_gans.recipes
    point_gans.recipes = lambda benchmark: {
        name: replace(recipe, steps=min(recipe.steps, RECIPE))
        for name, recipe in recipes(benchmark).items()
    }
    classifier.SETTINGS = replace(classifier.SETTINGS, steps=FEWEST)
    devices.accelerator = lambda: (stand_in(), "")
    for kind in (HistGradientBoostingClassifier, HistGradientBoostingRegressor):
        kind.fit = of_few_trees(kind.fit)
    if file := os.environ.get(interruptions.FILE):
        interruptions.Interruptions(shell, file)
    whole = audit.audit
    audit.audit = lambda *tables, **options: whole(*(t[:AUDITED] for t in tables), **options)


def of_few_trees(fit):
    """A booster's `fit` that makes at most `TREES` trees."""

    def short(model, *data, **options):
        model.max_iter = min(model.max_iter, TREES)
        return fit(model, *data, **options)

    return short


class WithoutClaims(ast.NodeTransformer):
    """Takes the assertions out of a cell."""

    def visit_Assert(self, node):
        return ast.copy_location(ast.Pass(), node)


def shortened(settings, steps=FEW, most=MOST):
    """`settings` with all that counts steps cut to `steps`, in every table, and other numbers to `most`."""
    for name, value in vars(settings).items():
        if isinstance(value, SimpleNamespace):
            large = name == "mnist"
            shortened(value, FEWEST if large else steps, MOST | LARGE if large else most)
        elif name == "steps" or name.endswith("_steps"):
            setattr(settings, name, min(value, steps))
        elif name in most:
            setattr(settings, name, min(value, most[name]))
    return settings


def changed(settings):
    """`settings` with every number but the steps changed: whole ones halved, others a tenth smaller.

    Not those for large images, which are cut down already.
    """
    for name, value in vars(settings).items():
        if isinstance(value, SimpleNamespace):
            if name != "mnist":
                changed(value)
        elif isinstance(value, int) and not (name == "steps" or name.endswith("_steps")):
            setattr(settings, name, max(1, value // 2))
        elif isinstance(value, float):
            setattr(settings, name, 0.9 * value if value else 0.05)
    return settings


def stand_in():
    from standins.accelerator import install  # sets up PyTorch for good, so only here

    return install()
