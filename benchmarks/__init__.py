"""What ftq costs and how fast it is, one program for each question; see README.md."""
