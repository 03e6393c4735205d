"""The services that `portward demo` starts around a gateway. Only that command imports them.

provider     stand-in for Directus: accounts, login, cookies, permissions of events
upstream     stand-in for the realtime API of an AI provider, for the relay
engine       simulated call-analysis engine, for the alerts endpoint
simulations  simulated football matches and a simulated shop, for the live and workspaces endpoints
site         the pages and the provider as one application
listener     the port of that application
info         what the pages and the terminal show
"""
