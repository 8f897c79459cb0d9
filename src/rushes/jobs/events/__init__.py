"""The history of a job: how it is stored, said in sentences, streamed and waited for."""
