"""The audit's checks, one subject a module. Each has a function `check` that yields drafts of findings
from the tables (or from features); none knows of the others."""
