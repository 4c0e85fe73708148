"""The audit's checks, one subject a module. Each is a function `check(tables, rng)` that yields drafts
of findings; none knows of the others."""
