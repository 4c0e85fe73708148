"""Grading for instructors: what came in, a sandbox, a judge outside it, and what goes out."""
