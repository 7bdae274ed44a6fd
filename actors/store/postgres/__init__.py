"""The store in PostgreSQL: for production, and for several nodes on one database."""
