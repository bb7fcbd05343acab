"""The mirror's work: a whole sync (`sync`), or one feed file from a disk (`feeds`).

From the outside in: `sync` chooses between `years` (the upstream's feeds) and `windows` (its API, with `pages` deciding
when an answer is whole); both hand lists of records to `files` or `ingest`, which have them made into rows (`records`,
`shape`) and written as one `batches` transaction; `coverage` notes what is proven by then.
"""
