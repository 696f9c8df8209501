"""X.509 certificates: read from files, judged with a sentence, and replaced while connections are served."""
