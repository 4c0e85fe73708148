"""The result of grading one submission."""


class GradingError(Exception):
    """Something that a person must hear, in one sentence that says what to do."""
