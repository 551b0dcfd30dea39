"""What a corpus is written as: BEIR's folders and TREC's files."""
