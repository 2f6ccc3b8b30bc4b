"""What PostgreSQL alone can change of a column without being told all of it again."""


def altered(table: str, column: str, change: str) -> str:
    """The statement that changes a column; the names are quoted already."""
    return f"ALTER TABLE {table} ALTER COLUMN {column} {change}"
