"""The alerts protocol: supervisors follow calls; a call-analysis engine reports to the gateway."""
