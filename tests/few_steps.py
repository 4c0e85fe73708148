"""For a test's kernel: lessons train for a few steps only, and find the stand-in for a GPU."""

from dataclasses import replace
from types import SimpleNamespace

from course_lib import devices
from course_lib.models import classifier
from course_lib.syllabus import Lesson

FEW, FEWEST = 300, 20  # some lessons look at a training every 250 steps; large images are slow


def patch():
    """Shorten every training of this process, and give it an accelerator."""
    settings = Lesson.settings
    Lesson.settings = lambda lesson, preset: shortened(settings(lesson, preset))
    classifier.SETTINGS = replace(classifier.SETTINGS, steps=FEWEST)
    devices.accelerator = lambda: (stand_in(), "")


def shortened(settings, most=FEW):
    """`settings` with all that counts steps cut to `most`, in every table."""
    for name, value in vars(settings).items():
        if isinstance(value, SimpleNamespace):
            shortened(value, FEWEST if name == "mnist" else most)
        elif name == "steps" or name.endswith("_steps"):
            setattr(settings, name, min(value, most))
    return settings


def stand_in():
    from standins.accelerator import install  # sets up PyTorch for good, so only here

    return install()
