"""The command that mutates the references finds what a check overlooks, and nothing is left unexplained."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from course_lib.exercises import get

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
KL = get("vae.kl_divergence")


@pytest.fixture
def mutants(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import mutants

    return mutants


@pytest.mark.slow
def test_a_case_too_few_is_found(mutants):
    """Where every mean is 0, nobody sees what becomes of it."""

    def centred(seed):
        log_var = np.random.default_rng(seed).normal(size=(3, 2))
        return {"all means are 0": {"mu": np.zeros((3, 2)), "log_var": log_var}}

    blind = mutants.tried(replace(KL, inputs=centred), seeds=[0]).accepted
    assert any("(mu ** 2 +" in change and "(mu ** 3 +" in change for change in blind)
    assert any(
        "-> return 0.5 * (log_var.exp()" in change or "(mu * 2 +" in change for change in blind
    )
    whole = mutants.tried(KL, seeds=[0]).accepted
    assert set(whole) < set(blind) and not any("mu ** 3" in change for change in whole)


def drawn(weights, n):
    total = 0.0
    while n > 0:
        total = total + weights[n - 1]
        n = n - 1
    if n < 0:
        os._exit(3)
    return total


@pytest.mark.slow
def test_what_never_ends_or_kills_the_process_is_not_accepted(mutants, monkeypatch):
    monkeypatch.setattr(mutants, "SECONDS", 0.2)

    def cases(seed):
        return {"a sum": {"weights": np.random.default_rng(seed).normal(size=4), "n": 3}}

    planted = replace(KL, reference=drawn, inputs=cases, mistakes={}, alternatives=())
    found = mutants.tried(planted, seeds=[0])
    changes = {change for change, _ in mutants.changes(planted)}
    assert {"n = n - 1 -> pass", "if n < 0: -> if True:"} <= changes
    assert found.count == len(changes)
    assert (
        "n = n - 1 -> pass" not in found.accepted and "if n < 0: -> if True:" not in found.accepted
    )
    assert "if n < 0: -> if False:" in found.accepted  # and what follows is tried all the same


@pytest.mark.slow
def test_a_share_of_the_mutants_is_always_the_same(mutants):
    some, again = (mutants.tried(KL, seeds=[0], one_in=4) for _ in range(2))
    assert some == again and 0 < some.count < len(mutants.changes(KL))


@pytest.mark.slow
def test_what_nobody_explained_is_listed(mutants, monkeypatch, tmp_path, capfd):
    (tmp_path / "none.toml").write_text("")
    monkeypatch.setattr(mutants, "EXPLAINED", tmp_path / "none.toml")
    monkeypatch.setattr(sys, "argv", ["mutants.py", "cures.smote", "--seeds", "1"])
    assert mutants.main() == 1
    said = capfd.readouterr().out
    assert "unexplained: neighbours = torch.cdist(x, x).argsort(dim=1) -> " in said
    assert "1 left to explain" in said


@pytest.mark.slow
def test_every_mutant_that_a_check_accepts_is_explained(request):
    """A fixed twentieth of the mutants, with the notebook's cases; with --full all, for three seeds."""
    share = [] if request.config.getoption("--full") else ["--one-in", "20", "--seeds", "1"]
    call = [sys.executable, str(BENCHMARKS / "mutants.py"), "--keep", *share]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_record_is_that_of_these_exercises(mutants):
    report = json.loads((BENCHMARKS / "results/mutants.json").read_text(encoding="utf-8"))
    assert report["unexplained"] == 0
    explained = mutants.explained()
    for name, row in report["exercises"].items():
        assert set(row["accepted"]) == set(explained.get(name, {})), name
