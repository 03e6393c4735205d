"""Several processes on one port: a parent that restarts them, and workers that serve.

    parent            the parent process: binds the listeners, prints, reloads
    supervisor        starts workers, replaces those that end, stops all of them
    worker_process    the parent's side of one worker
    worker            the worker's side
    status            health, readiness and metrics of all workers, from any of them
    handover          passes a connection to the worker with its session

The parent binds the public port without listening, to reserve it, and opens the admin listener, which all
workers accept from. Workers are started as new programs, not forked, so no event loop is shared.
"""
