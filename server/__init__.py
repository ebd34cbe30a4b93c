"""The Roost server: sessions, events and backups behind one gRPC API."""
