"""Objectives on the running system: what was promised and when, counted from the tasks that landed.

history, apply    versions of an owner's documents; what was promised before launch, and what was moved since
facts, rules      a task, and whether it is good, bad or not judged, for each metric
book              counts per minute of many objectives, kept up to date by difference
standing          attainment, budget, coverage and alert of each objective
"""
