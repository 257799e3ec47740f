"""The page people read: one self-contained HTML file, its numbers as JSON and CSV beside it."""

from engine.report.page import write
from engine.report.subject import Assumption, Subject

__all__ = ["Assumption", "Subject", "write"]
