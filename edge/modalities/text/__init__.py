"""Text: words to indices, vocabularies, texts to shards."""
