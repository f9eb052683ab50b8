"""django-tasks-sqs: Django's own tasks on SQS. The settings are this module."""

import os
import sys

SECRET_KEY = "bench"
INSTALLED_APPS = ["django_tasks_sqs"]
USE_TZ = True
LOGGING_CONFIG = None
URL = os.environ["FTQ_QUEUE_URL"]
TASKS = {
    "default": {
        "BACKEND": "django_tasks_sqs.SQSBackend",
        "QUEUES": ["bench"],
        "OPTIONS": {
            "endpoint_url": os.environ["AWS_ENDPOINT_URL"],
            "queue_urls": {"bench": URL},
            "region_name": os.environ["AWS_REGION"],
        },
    }
}

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "with_django"
    from django.core.management import execute_from_command_line

    if sys.argv[1] == "send":
        import django

        django.setup()
        from django_noop import noop

        for each in range(int(sys.argv[2])):
            noop.enqueue(each, "x" * 64)
    else:
        execute_from_command_line(sys.argv)
