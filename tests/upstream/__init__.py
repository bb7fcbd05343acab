"""A fake NVD of our own, and what a mirror of it must hold."""
