"""The live protocol: web pages follow topics, authenticated by the cookie of their site."""
