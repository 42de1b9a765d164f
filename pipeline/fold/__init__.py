"""The fold: from a partition's log of events to the rows of its tasks and windows. Reads no clock."""
