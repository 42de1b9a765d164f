"""Dead letters: what could not be used, where it is, what to do about it, and how it is tried again."""
