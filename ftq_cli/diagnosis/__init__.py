"""What `ftq doctor` finds: rules over values, and `look`, which asks for them."""
