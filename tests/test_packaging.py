"""What is asked for, what is pinned, and that each fact stands in one place."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
COLAB_TORCH = "2.11"  # not in the file of pins, which leaves PyTorch to constraints.txt


def pins(text):
    """The name and version of every pin that holds for this Python."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = [Requirement(line) for line in lines]
    assert all(re.fullmatch(r"==[^*]+", str(pin.specifier)) for pin in found)
    here = [pin for pin in found if pin.marker is None or pin.marker.evaluate()]
    names = [canonicalize_name(pin.name) for pin in here]
    assert len(names) == len(set(names))
    return {name: str(pin.specifier)[2:] for name, pin in zip(names, here, strict=True)}


CONSTRAINTS_TEXT = (ROOT / "constraints.txt").read_text(encoding="utf-8")
CONSTRAINTS = pins(CONSTRAINTS_TEXT)
SITE = pins(CONSTRAINTS_TEXT.split("# Only in .venv-site")[1].split("\n\n")[0].partition("\n")[2])
COLAB_TEXT = (ROOT / "tests" / "colab-constraints.txt").read_text(encoding="utf-8")
COLAB = pins(COLAB_TEXT)
ON_COLAB = dict(pins(COLAB_TEXT.split("# Not from Colab")[0]), torch=COLAB_TORCH)


def closure(requirements):
    """The installed packages that the requirements ask for, directly or not, here."""
    found, waiting = set(), [Requirement(text) for text in requirements]
    seen = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        if name == "course-lib":
            asked = [text for extra in requirement.extras for text in EXTRAS[extra]]
        else:
            found.add(name)
            try:
                asked = requires(name) or []
            except PackageNotFoundError:  # the test of the versions names it
                continue
        for need in map(Requirement, asked):
            extras = requirement.extras or {""}
            if need.marker is None or any(need.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(need)
    return found


WANTED = closure([*PROJECT["dependencies"], *EXTRAS["lab"], *EXTRAS["test"]])


@pytest.mark.parametrize("text", PROJECT["dependencies"])
def test_core_dependencies_accept_colab(text):
    need = Requirement(text)
    assert canonicalize_name(need.name) in ON_COLAB
    assert need.specifier.contains(ON_COLAB[canonicalize_name(need.name)])
    assert need.specifier.contains(CONSTRAINTS[canonicalize_name(need.name)])
    assert str(need.specifier).startswith(">=")


@pytest.mark.parametrize("text", [text for extra in EXTRAS.values() for text in extra])
def test_extras_accept_the_pins(text):
    need = Requirement(text)
    if need.name != "course-lib":
        assert need.specifier.contains(CONSTRAINTS[canonicalize_name(need.name)])


@pytest.mark.parametrize("text", [*EXTRAS["lessons"], *EXTRAS["notebooks"][1:]])
def test_what_runs_the_notebooks_is_pinned_for_colab_too(text):
    need = Requirement(text)
    assert need.specifier.contains(COLAB[canonicalize_name(need.name)])


def test_what_runs_the_notebooks_needs_no_jupyterlab():
    assert "jupyterlab" not in closure(EXTRAS["notebooks"])
    assert "jupyterlab" not in COLAB


def test_every_installed_package_is_pinned():
    # NVIDIA's packages come with the CUDA build of PyTorch, which pins them itself.
    needed = {name for name in WANTED if not re.match(r"(nvidia|cuda)-|triton$", name)}
    assert not needed - set(CONSTRAINTS)


def test_installed_versions_are_the_tested_ones():
    pinned = WANTED & set(CONSTRAINTS)
    installed = {name: Version(version(name)).public for name in pinned}
    assert installed == {name: str(Version(CONSTRAINTS[name])) for name in pinned}


def test_nothing_is_pinned_in_vain():
    tools, elsewhere = {"pip", "uv"}, {"appnope", "colorama", "pywinpty"}
    foreign = {"overrides", "pexpect", "ptyprocess"}  # not on every Python or system
    assert not set(CONSTRAINTS) - WANTED - tools - elsewhere - foreign - set(SITE)
    assert not set(SITE) & WANTED


def test_environment_yml_repeats_no_list():
    content = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, pip, torch, rest = content["dependencies"]
    assert python == "python" + PROJECT["requires-python"]
    assert pip == "pip"
    assert torch == f"pytorch-cpu={CONSTRAINTS['torch']}"  # else pip would replace it
    assert rest == {"pip": ["-c constraints.txt", "-e .[lab]"]}


def test_course_py_asks_for_the_same_python():
    source = ast.parse((ROOT / "course.py").read_text(encoding="utf-8"))
    values = [
        ast.literal_eval(node.value)
        for node in source.body
        if isinstance(node, ast.Assign) and "OLDEST" in ast.unparse(node.targets[0])
    ]
    oldest, newest = values[0]
    assert SpecifierSet(PROJECT["requires-python"]) == SpecifierSet(
        f">={oldest[0]}.{oldest[1]},<{newest[0]}.{newest[1] + 1}"
    )


def test_version_stands_in_one_place():
    assigned = re.compile(r"^\s*(__version__|version)\s*[:=]\s*[\"']?\d+\.\d", re.M)
    files = [*(ROOT / "course_lib").rglob("*.py"), ROOT / "CITATION.cff", ROOT / "course.py"]
    assert [f.name for f in files if assigned.search(f.read_text(encoding="utf-8"))] == []
    assert version("course-lib") == PROJECT["version"]


def test_command_of_the_package(capsys):
    from course_lib.cli import VERBS, main

    with pytest.raises(SystemExit) as refused:
        main(["bogus"])
    assert refused.value.code == 2
    assert f"the known ones are: {', '.join(VERBS)}" in capsys.readouterr().err
    for verb in VERBS:
        with pytest.raises(SystemExit) as helped:
            main([verb, "--help"])
        assert helped.value.code == 0
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.endswith(f"course-lib {PROJECT['version']}\n")


@pytest.mark.parametrize("code", ["import course_lib", "from course_lib.cli import main"])
def test_the_door_is_light(code):
    """So `import course_lib` and `course-lib --help` answer at once: what takes long is asked for."""
    code += "; import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not {canonicalize_name(name) for name in loaded - {"course_lib"}} & WANTED
    assert not loaded & {"matplotlib", "numpy", "pandas", "scipy", "sklearn", "torch"}
    # Slow parts of Python itself: finding the version alone reads the e-mail package.
    assert not loaded & {"asyncio", "email", "http", "multiprocessing", "unittest", "urllib", "xml"}
