"""Make every kernel of `python course.py test --colab` believe that it runs on Colab."""

import google.colab  # noqa: F401
