"""The state database: SQLAlchemy over SQLite or PostgreSQL, schema by Alembic."""
