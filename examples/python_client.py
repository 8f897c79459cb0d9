"""From a prompt to a file, with our own client. RUSHES_API_KEY=... python examples/python_client.py"""

import sys

from rushes import Client
from rushes.client import ClientError, Job, JobFailed


def tell(job: Job) -> None:
    print(f"{job.id}: {job.status}, {job.progress}%", file=sys.stderr)


with Client() as client:
    try:
        job = client.generate(
            "A lighthouse in a storm",
            model="animatic/storyboard",
            duration=1,
            on_progress=tell,
            timeout_s=600,
        )
        print(job.download("lighthouse.mp4", replace=True))
    except JobFailed as error:
        sys.exit(f"{error.error_code}: {error.detail}")
    except ClientError as error:
        sys.exit(f"{error.code}: {error.detail} (request {error.request_id})")

    for earlier in client.jobs(status="completed"):
        print(f"{earlier.created_at:%Y-%m-%d %H:%M}  {earlier.cost_usd} USD  {earlier.prompt}", file=sys.stderr)
