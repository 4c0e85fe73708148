"""The judge of the digits."""

import pytest
import torch

from course_lib.models import classifier

pytestmark = pytest.mark.usefixtures("own_settings")


def test_the_judge_leaves_the_caller_s_randomness_alone_and_is_kept(monkeypatch, capsys):
    monkeypatch.setattr(classifier, "SETTINGS", classifier.ClassifierSettings(steps=2))
    torch.manual_seed(4)
    expected = torch.rand(2)
    torch.manual_seed(4)
    judge = classifier.digit_judge()
    assert torch.equal(torch.rand(2), expected)
    again = classifier.digit_judge()
    assert "taken from the checkpoint" in capsys.readouterr().out
    images = torch.rand(5, 8, 8) * 16
    assert torch.equal(judge.features(images), again.features(images.flatten(1)))
    assert judge.features(images).shape == (5, 64)
    assert judge.accuracy(images, judge.predict(images)) == 1.0
