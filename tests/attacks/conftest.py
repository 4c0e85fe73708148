"""These notebooks attack whoever runs them: only `test_grading_attacks.py` does, in the sandbox."""

collect_ignore_glob = ["*.ipynb"]
