"""What grading has to say."""


class GradingError(Exception):
    """Something that the instructor can put right; the message says what and how."""
