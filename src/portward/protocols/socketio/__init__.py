"""Socket.IO: packets, namespaces, and the sockets that the application's handlers get."""
