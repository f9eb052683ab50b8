"""Mail, through a server that is now and then away."""

from __future__ import annotations

import os
from email.message import EmailMessage
from smtplib import SMTP, SMTPRecipientsRefused

from pydantic import BaseModel

from ftq import BreakerPolicy, Context, Registry, RetryPolicy

registry = Registry()
# While the server is down, tasks wait without spending attempts; one probe at a time looks whether
# it is back.
registry.breaker("smtp", BreakerPolicy(in_a_row=6, base=1, cap=5, counts=(OSError,)))


class Email(BaseModel):
    """A mail."""

    to: str
    subject: str
    text: str = ""


@registry.handler(
    "email.send",
    retry=RetryPolicy(attempts=8, base=0.5, cap=30),
    timeout=20,
    breaker="smtp",
    permanent=(SMTPRecipientsRefused,),  # nobody is there: no further attempt can help
)
def send(email: Email, context: Context) -> str:
    """Send it. Delivered twice, it is one mail to whoever looks at its Message-ID."""
    message = EmailMessage()
    message["Message-ID"] = f"<{context.task_id}@shop.example>"
    message["From"] = "shop@shop.example"
    message["To"], message["Subject"] = email.to, email.subject
    message.set_content(email.text)
    host, port = os.environ.get("SMTP_HOST", "127.0.0.1"), int(os.environ.get("SMTP_PORT", "25"))
    with SMTP(host, port, timeout=5) as server:
        server.send_message(message)
    return "sent"
