"""A stand-in for the module that is on Colab alone, with what the course uses of it."""

from google.colab import _message, files

__all__ = ["_message", "files"]
