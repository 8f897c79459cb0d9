"""What the API, the console and webhooks show: jobs as JSON, links and times."""
