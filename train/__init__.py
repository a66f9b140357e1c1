"""The offline trainer: labelled text in, a fine-tuned checkpoint with its figures out."""
