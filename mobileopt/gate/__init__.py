"""The gate of a continuous integration: is a commit worse than the one it started from?"""

from mobileopt.gate.commits_compared import compare_commits
from mobileopt.gate.finding import Finding, Result
from mobileopt.gate.work import Question, Told

__all__ = ["Finding", "Question", "Result", "Told", "compare_commits"]
