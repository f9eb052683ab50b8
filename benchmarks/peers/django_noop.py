"""The task of `with_django`."""

from django.tasks import task
from effects import leave


@task(queue_name="bench")
def noop(number: int, text: str) -> None:
    """Do nothing."""
    leave(number)
