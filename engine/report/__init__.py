"""The page people read: one self-contained HTML file, its numbers as JSON and CSV beside it."""

from engine.report.page import PAGE, write
from engine.report.subject import Assumption, Other, Subject

__all__ = ["PAGE", "Assumption", "Other", "Subject", "write"]
