"""Measures of synthetic data. They judge samples or features, wherever those come from."""

from course_lib.audit.entry_points import audit, audit_arrays
from course_lib.audit.finding import MARGINS, Finding, Findings
from course_lib.audit.large import audit_files
from course_lib.audit.linked import Link, audit_folders, audit_linked, joined
from course_lib.audit.policy import Gate, Policy, policies
from course_lib.audit.report import AuditReport
from course_lib.audit.schema import AuditError, Schema
from course_lib.mode_collapse import Modes

__all__ = [
    "MARGINS",
    "AuditError",
    "AuditReport",
    "Finding",
    "Findings",
    "Gate",
    "Link",
    "Modes",
    "Policy",
    "Schema",
    "audit",
    "audit_arrays",
    "audit_files",
    "audit_folders",
    "audit_linked",
    "joined",
    "policies",
]
