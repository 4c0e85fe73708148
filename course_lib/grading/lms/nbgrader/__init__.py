"""nbgrader: its folders, a lesson as its assignment, and results in its gradebook."""
