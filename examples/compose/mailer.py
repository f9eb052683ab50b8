"""Handlers to begin with: what `docker compose up` runs."""

from pydantic import BaseModel

from ftq import Context, Registry, RetryPolicy

registry = Registry()


class Email(BaseModel):
    """What `email.send` takes."""

    to: str
    subject: str


@registry.handler("email.send", retry=RetryPolicy(attempts=5, base=1, cap=60), timeout=30)
async def send(email: Email, context: Context) -> str:
    """Send an e-mail, or at least say so."""
    return f"sent to {email.to} at attempt {context.attempt}"
