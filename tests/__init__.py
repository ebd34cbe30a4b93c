"""Tests; a package, because some dependency installs one of the same name."""
