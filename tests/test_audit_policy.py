"""Policies: what must hold before rows go to whom, from the course or from a file of one's own."""

import json

import pandas as pd
import pytest

from course_lib import cli
from course_lib.audit import AuditError, AuditReport, Finding, policies
from course_lib.audit.finding import FAMILIES, VERDICTS

OWN = """
[lenient]
says = "For nobody but us."
structure = "never"
fidelity = "never"
utility = "never"
bias = "never"

[strict]
needs = ["label"]
bias = "warn"
decided = ["utility"]
ignore = ["levels"]
"""
METRICS = {
    "structure": "levels",
    "fidelity": "kolmogorov_smirnov",
    "utility": "utility",
    "bias": "label_rate",
    "privacy": "membership_auc",
}


def report(family: str, verdict: str, **about: object) -> AuditReport:
    found = Finding(family, METRICS[family], "age", verdict=verdict, method="found")
    known = {"holdout": "given", "sensitive": ["sex"], "label": "approved"}
    return AuditReport((found,), None, (), known | about)


@pytest.fixture
def own(tmp_path):
    file = tmp_path / "policy.toml"
    file.write_text(OWN, encoding="utf-8")
    return file


STOPPED = {  # by each policy of the course: family and verdict
    "research": {(f, "fail") for f in FAMILIES if f != "privacy"},
    "internal": {(f, "fail") for f in FAMILIES},
    "release": {(f, "fail") for f in FAMILIES}
    | {("structure", "warn")}
    | {("privacy", verdict) for verdict in VERDICTS if verdict != "pass"},
}


@pytest.mark.parametrize("name", STOPPED)
def test_a_policy_of_the_course_stops_what_it_says(name):
    for family in FAMILIES:
        for verdict in VERDICTS:
            gate = report(family, verdict).gate(name)
            assert bool(gate) == ((family, verdict) not in STOPPED[name]), (family, verdict)
            assert gate.status == {f: int(not gate and f == family) for f in FAMILIES}


def test_each_policy_says_for_whom_it_is():
    assert set(policies()) == set(STOPPED)
    assert all(policy.says.endswith(".") for policy in policies().values())


@pytest.mark.parametrize(
    ("policy", "about", "passed"),
    [
        ("research", {"holdout": "set aside"}, True),
        ("internal", {"holdout": "set aside"}, False),
        ("internal", {"sensitive": []}, True),
        ("release", {"sensitive": []}, False),
    ],
)
def test_a_policy_needs_what_the_audit_was_given(policy, about, passed):
    gate = report("bias", "pass", **about).gate(policy)
    assert bool(gate) == passed
    assert passed or gate.reasons[0].startswith("The policy needs")
    assert not any(gate.status.values())  # no finding stops it


def test_one_cause_is_told_once():
    both = [
        Finding("fidelity", metric, "age", verdict="fail", method="found", columns=("age",))
        for metric in ("kolmogorov_smirnov", "wasserstein")
    ]
    open_ = Finding("privacy", "membership_auc", "age", verdict="not testable", method="")
    gate = AuditReport((*both, open_), None, (), {"holdout": "given", "sensitive": ["a"]}).gate(
        "release"
    )
    assert len(gate.reasons) == 3 and gate.causes == (
        "fail: kolmogorov_smirnov[age]: found [1 more come with it: 'wasserstein[age]']",
        "not testable: 1 of privacy",
    )


def test_a_policy_of_one_s_own(own):
    lenient, strict = f"{own}#lenient", f"{own}#strict"
    assert report("bias", "fail").gate(lenient) and not report("privacy", "fail").gate(lenient)
    assert not report("bias", "warn").gate(strict)
    assert not report("utility", "underpowered").gate(strict)
    assert report("structure", "fail").gate(strict)  # left out by name
    assert not report("bias", "pass", label=None).gate(strict)
    own.write_text("[only]\nprivacy = 'warn'", encoding="utf-8")
    assert not report("privacy", "warn").gate(str(own))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[a]\nfairness = 'fail'", "no 'fairness'"),
        ("[a]\nbias = 'sometimes'", "bias = 'sometimes'"),
        ("[a]\nneeds = ['faith']", "cannot need 'faith'"),
        ("[a]\nneeds = 'holdout'", "needs is a list of words"),
        ("[a]\nignore = [1]", "ignore is a list of words"),
        ("[a]\nignore = ['label_rat[sex = f]']", "no metric called 'label_rat'"),
        ("[a]\nbias = ['fail']", r"bias = \['fail'\]"),
        ("[a]\ndecided = ['honesty']", "no family 'honesty'"),
        ("[a]\nsays = 3", "says is a sentence"),
        ("bias = 'fail'", "each policy is a table"),
        ("", "each policy is a table"),
        ("[a", "cannot be read"),
        ("[a]\n[b]", "several policies"),
        ("[release]\nprivacy = 'never'", "'release' is a policy of the course"),
    ],
)
def test_a_file_that_is_not_understood_is_refused(own, text, words):
    own.write_text(text, encoding="utf-8")
    with pytest.raises(AuditError, match=words):
        report("bias", "pass").gate(str(own))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("realease", "no policy 'realease'. The course has 'research', 'internal', 'release'"),
        ("away.toml", "There is no policy file away.toml"),
        ("{own}#other", "no policy 'other'"),
    ],
)
def test_a_policy_that_is_not_there_is_refused(own, name, words):
    with pytest.raises(AuditError, match=words):
        report("bias", "pass").gate(name.format(own=own))


@pytest.mark.slow
def test_the_shell_holds_a_report_to_a_policy(tmp_path, own, capsys):
    table = pd.DataFrame({"x": [k**1.7 for k in range(60)] * 2, "sex": list("fmm") * 40})
    real, made = tmp_path / "real.csv", tmp_path / "made.csv"
    table[:60].to_csv(real, index=False)
    table[60:].to_csv(made, index=False)  # each number is one person's
    page, data = tmp_path / "report.html", tmp_path / "report.json"
    call = ["audit", str(real), str(made), "--quiet", "--html", str(page), "--json", str(data)]
    assert cli.main([*call, "--policy", "internal"]) == 1
    said = capsys.readouterr().out
    assert "Policy internal: failed. The rows go to colleagues" in said
    assert "The policy needs real rows that the generator has not seen" in said
    content = json.loads(data.read_text(encoding="utf-8"))
    assert content["gate"]["policy"] == "internal" and content["gate"]["status"]["privacy"] == 1
    files = content["about"]["files"]
    assert files["real"]["name"] == "real.csv" and len(files["synthetic"]["sha256"]) == 64
    text = page.read_text(encoding="utf-8")
    assert all(policy.says in text for policy in policies().values())
    assert files["real"]["sha256"] in text and "Date and signature" in text
    assert cli.main([*call, "--policy", f"{own}#lenient"]) == 1  # privacy fails by itself
    assert "For nobody but us." in page.read_text(encoding="utf-8")
    assert cli.main([*call, "--policy", "releese"]) == 2
    assert "There is no policy 'releese'" in capsys.readouterr().err


def test_a_policy_and_a_strictness_exclude_each_other(capsys):
    with pytest.raises(SystemExit):
        cli.main(["audit", "a", "b", "--policy", "release", "--fail-on", "warn"])
    assert "not allowed with" in capsys.readouterr().err
