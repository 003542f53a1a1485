"""Captured files: written so that nothing is lost silently, and read back."""
