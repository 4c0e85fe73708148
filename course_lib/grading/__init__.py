"""For instructors: answers run in a sandbox, are judged outside it, and go into gradebooks."""
