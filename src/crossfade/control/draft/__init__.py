"""`init`: a first migration.py, drafted from what two databases have in common."""
