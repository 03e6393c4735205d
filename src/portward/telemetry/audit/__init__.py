"""The audit: numbered, chained security events in files, and their verification."""
