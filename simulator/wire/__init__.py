"""The wire: frames, encryption, nodes."""
