"""The adapters to AWS. Only `ftq_daemon.bootstrap` names them."""
