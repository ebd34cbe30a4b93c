"""The vault: one encrypted repository of credential backups in each storage location."""
