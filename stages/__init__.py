"""What DVC runs: six stages, a sentence, a pure function and a short main each."""
