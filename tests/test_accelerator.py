"""The course's models on a device that is not the CPU: a stand-in for a GPU, in its own process."""

import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils import backend_registration

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this PyTorch cannot have a device written in Python",
)
def test_on_the_stand_in_what_mixes_devices_fails_and_the_course_works():
    checks = [sys.executable, "-m", "pytest", "-n0", "-q", "tests/accelerator_checks.py"]
    done = subprocess.run(checks, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
