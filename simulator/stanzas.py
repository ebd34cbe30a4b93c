"""What each request of a client is answered with."""
