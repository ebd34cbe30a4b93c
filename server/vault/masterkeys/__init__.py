"""Master keys: what wraps the data keys of sessions.

Each configured master key is a recipient: every data key is wrapped once for each of them, and any
one of them opens everything.
"""
