"""The testing kit: handlers tried on the real engine, in memory. Import it from `ftq.testing`."""
