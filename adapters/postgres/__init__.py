"""Everything that is stored: PostgreSQL with pgvector, by SQLAlchemy Core and psycopg."""
