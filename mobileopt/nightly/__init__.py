"""A night of a lab: measure what is new, find what became slower, make sure, name the commit.

`schedule`, `suspicion`, `culprit` and `judgement` decide, without measuring anything; `night`
carries it out on `machines`, and `ledger` keeps every decision, so that a night that was killed
goes on where it was. `tools/nightly.py` is the command.
"""
