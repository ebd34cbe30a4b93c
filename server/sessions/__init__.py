"""Sessions: desired against observed state, one supervisor task per session."""
