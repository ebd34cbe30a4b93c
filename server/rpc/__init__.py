"""The gRPC face: thin servicers, one error table, one interceptor."""
