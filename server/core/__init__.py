"""Domain vocabulary shared by every room of the server: no I/O, no gRPC, no tasks."""
