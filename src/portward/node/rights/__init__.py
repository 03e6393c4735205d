"""Rights: authentication, authorization and room records."""
