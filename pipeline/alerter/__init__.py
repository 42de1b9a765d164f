"""The alerter: evaluates every objective every few seconds, keeps the state of each alert, and has people told.

engine     one tick: people's actions and new minutes become transitions and states, which are stored in that order
counts     the counts that a tick looks at, brought up to date by what has changed
health     the pipeline's own alerts, for the owner of the platform
delivery   from stored transitions to notifications, until each receiver has them
process    the loop
"""
