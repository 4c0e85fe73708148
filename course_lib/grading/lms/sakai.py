"""Sakai: how its downloads are recognised. Its gradebook takes `grades.csv`."""

import re

# "<name>(<login>)/Submission attachment(s)/*"
NAMED = re.compile(r"(?P<name>.+)\((?P<id>[^()]+)\)")
ATTACHMENTS = "submission attachment(s)"


def match(name: str) -> re.Match[str] | None:
    """The name and the login in a folder's name; None for another name."""
    return NAMED.fullmatch(name)
