"""The gate of a continuous integration: is a commit worse than the one it started from?"""

from mobileopt.gate.commits_compared import Question, Told, compare_commits
from mobileopt.gate.finding import Finding, Result

__all__ = ["Finding", "Question", "Result", "Told", "compare_commits"]
