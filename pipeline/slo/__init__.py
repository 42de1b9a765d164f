"""Objectives, error budgets and burn-rate alerts: pure functions of counts.

Nothing here reads a clock, a socket or a database. Time is an argument: an integer number of minutes since
the Unix epoch. What comes in is a `Series` of integer counts per minute; what goes out are budgets and
alert states.

    openslo, annotations, resolve   text -> `Objective`, or `Problem`s with file, line and fix
    counts                          counts per minute, with prefix sums
    periods, budget                 how much badness is allowed, used and left
    windows, guard, burn            which burn-rate windows apply, and what they say
    alert, maturity                 firing, resolved, frozen; verdicts that come late
"""
