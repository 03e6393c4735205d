"""The audit: numbered and chained security events in files, and their verification."""
