"""Speech corpora, features and batches.

One file per corpus behind the small protocol of `ernn.data.corpus`; nothing is downloaded.
"""
