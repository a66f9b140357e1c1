"""The worker: reads utterances, decides 정상 / 욕설 / 성희롱, emits flags. Never imports torch."""
