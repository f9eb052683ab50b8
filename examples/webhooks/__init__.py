"""One event told to many subscribers, each at its own pace."""
