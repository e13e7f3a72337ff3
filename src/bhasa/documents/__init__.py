"""Files to clean, de-duplicated, split documents and conversations.

A file's path through ingest: a source lists it as a partition, a reader turns its bytes into records (texts
and conversations), which are cleaned and de-duplicated and wait in a database on disk until they are split
and written in the order of their ids. Every partition, kept or not, gets an account.
Knows nothing of tokens or models.
"""
