"""Mail through a server that is down for a while: retries, and a breaker."""
