"""A run that is disturbed at random, again and again, must end with the results of one that was not.

A seeded script: it runs a small sweep on a Ray cluster of two nodes, kills and breaks what the sweep needs, resumes it
with the same command until it is done, and compares. Run it with `python -m experiments.chaos`.
"""
