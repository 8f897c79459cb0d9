"""The words that all other folders share: the request, the progress, the output and the job itself. No I/O."""
