"""Stands, inside the sandbox, in the place of every module that holds an exercise's solution."""

raise ImportError("the library's solutions are out of reach while an answer is graded")
