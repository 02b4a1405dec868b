"""Change points in the history of a metric: `find` in one series, `find_together` in many.

Pure: numbers in, values out. The method, its figures and its limits are in docs/changes.md.
"""

from mobileopt.changes._levels import noise
from mobileopt.changes._series import ChangePoint, find
from mobileopt.changes._together import AnalyseAll, Cause, SeriesChange, SeriesKey, find_together

__all__ = [
    "AnalyseAll",
    "Cause",
    "ChangePoint",
    "SeriesChange",
    "SeriesKey",
    "find",
    "find_together",
    "noise",
]
