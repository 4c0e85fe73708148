"""What grading gives."""


class GradingError(Exception):
    """What an instructor asked for cannot be done; the message says why, in a sentence."""
