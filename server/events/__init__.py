"""The durable event log and its subscribers."""
