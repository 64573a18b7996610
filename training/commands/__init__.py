"""What `sentopic-train` can do, a command a file: `add` gives it its options, `run` does it and returns its status.

Whatever imports Keras is imported inside `run`: the command line must answer at once.
"""
