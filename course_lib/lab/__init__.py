"""JupyterLab as learners get it: what `course.py lab` starts, and the settings that it starts with.

`config` and `data` are folders as Jupyter searches them. They come before the learner's own and replace
only what they name: no extension of nbgrader or Jupytext, no question about news, a kernel that explains.
"""
