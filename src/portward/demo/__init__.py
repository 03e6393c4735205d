"""What `portward demo` puts around a gateway. Nothing else imports it, a production start least of all.

provider     a stand-in for Directus: accounts, a login, cookies, questions about events
analysis     a simulated call-analysis engine
match        a simulated football match, for the live endpoint
workplace    a simulated shop, for the workspaces endpoint
site         the pages and the provider as one application
listener     the port that application is served on
"""
