"""Sliders and quizzes: thin widgets over pure functions."""

from course_lib.explore.panel import explore
from course_lib.explore.quiz import quiz

__all__ = ["explore", "quiz"]
