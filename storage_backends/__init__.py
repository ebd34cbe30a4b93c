"""Where backups go: interchangeable storage backends behind one small blocking contract."""
