"""Credentials of other programs, turned into a store of ours."""
