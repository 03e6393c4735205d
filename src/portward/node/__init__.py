"""One gateway process: handshakes, sessions, commands, rights, channels, work over several nodes, drain.

`node.node` constructs the parts. A folder imports only folders to its right in this list:
`handshake`, `commands`, `cluster`, `channels`, `rights`, `sessions`, `stores`. `protocol_service` is what
a protocol registers, `admin_method` what a method of the admin API is made with. No module here imports a
concrete engine or a transport: `app.build` passes the engine as a port, a transport passes itself.
"""
