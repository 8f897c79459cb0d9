"""The `indoxhub` package against your own service. RUSHES_API_KEY=... python examples/indoxhub_client.py"""

import os
import urllib.request

from indoxhub import Client

service = os.environ.get("RUSHES_BASE_URL", "http://127.0.0.1:8080")

with Client(api_key=os.environ["RUSHES_API_KEY"], base_url=service) as client:
    started = client.videos("A lighthouse in a storm", model="animatic/storyboard", duration=1)
    job = client.wait_for_video_job(started["data"]["job_id"], check_interval=1)

urllib.request.urlretrieve(job["result"]["video_url"], "lighthouse.mp4")
print("lighthouse.mp4")
