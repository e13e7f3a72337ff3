"""Files to clean, de-duplicated, split documents and conversations.

The way of a file: a source lists it, a reader turns its bytes into texts and conversations, cleaning and
de-duplication decide what is kept, and the account of every file, kept or not, goes into one report.
Knows nothing of tokens or models.
"""
