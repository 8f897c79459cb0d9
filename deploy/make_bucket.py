"""Makes the bucket that RUSHES_STORAGE_URL names, on the S3 server of compose.yaml, if there is none."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import boto3  # type: ignore[import-untyped]


def make_bucket() -> None:
    bucket = urlsplit(os.environ["RUSHES_STORAGE_URL"]).netloc
    s3 = boto3.client(
        "s3",
        endpoint_url=os.environ["RUSHES_STORAGE_ENDPOINT_URL"],
        region_name=os.environ.get("RUSHES_STORAGE_REGION", "us-east-1"),
        aws_access_key_id=os.environ["RUSHES_STORAGE_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["RUSHES_STORAGE_SECRET_ACCESS_KEY"],
    )
    if bucket not in {found["Name"] for found in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=bucket)


if __name__ == "__main__":
    make_bucket()
