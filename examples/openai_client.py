"""The `openai` package against your own service. RUSHES_API_KEY=... python examples/openai_client.py"""

import os
import sys

from openai import OpenAI

service = os.environ.get("RUSHES_BASE_URL", "http://127.0.0.1:8080")

with OpenAI(api_key=os.environ["RUSHES_API_KEY"], base_url=f"{service}/v1") as client:
    video = client.videos.create_and_poll(
        prompt="A lighthouse in a storm", model="animatic/storyboard", seconds="4", size="1280x720"
    )
    if video.error is not None:
        sys.exit(f"{video.error.code}: {video.error.message}")
    client.videos.download_content(video.id).write_to_file("lighthouse.mp4")

print("lighthouse.mp4")
