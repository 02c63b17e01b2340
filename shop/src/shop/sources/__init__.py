"""The shop's data, kept in SQLite and tantivy."""
