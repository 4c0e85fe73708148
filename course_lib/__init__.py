"""Helper library of the course "Synthetic data: build it, break it, audit it".

The rooms, from the ground floor up. A room imports only from itself and from those above it in this list:

    files, syllabus, colab, devices  small things that every room may use
    kernel          what a notebook says where a traceback would not help
    session         start("01_vae"): device, preset, seed and plot theme of a lesson
    datasets        load("digits"): arrays or tables, each with its data card
    training        one training loop, and checkpoints
    models          generative models, one paper a module
    plots           charts and image sheets with a description for screen readers
    mode_collapse   one GAN covers only a few modes of the data: measures, cures, steering
    model_collapse  generation after generation learns from synthetic data, and the tails vanish
    privacy         attacks on synthetic tables and models, and differential privacy
    rare_events     how often something happens that hardly ever happens: a simulator, importance sampling
    audit           findings about synthetic data: fidelity, bias, privacy, utility
    pipeline        steps, contracts, gates, ledger: generate, audit, publish or quarantine
    twin            a simulated production line, and the twin that follows it and decides
    explore         sliders and quizzes
    exercises       what an exercise is, its check, and those of every lesson
    grading         marking submissions in a sandbox, for instructors
    sync            writes what the syllabus knows into notebooks and pages
    new             scaffolds a lesson
    lab             JupyterLab as learners get it
    cli             the commands
"""

__all__ = ["certificate", "check", "hint", "progress", "save_work", "submit_check"]


def __getattr__(name: str):
    """Fetch a name on first use, so that `import course_lib` stays light."""
    if name == "__version__":
        return _version()
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("course_lib.exercises"), name)
    raise AttributeError(f"module 'course_lib' has no attribute {name!r}")


def _version() -> str:
    """The version that stands in pyproject.toml; finding it takes longer than all other imports here."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("course-lib")
    except PackageNotFoundError:  # the folder is used without being installed
        return "0+uninstalled"
