"""Several processes on one port: a parent that restarts them, and workers that serve.

    supervisor                        starts workers, replaces those that end, stops all of them
    worker_process                    the parent's side of one worker
    worker                            the worker's side
    parent_admin                      the parent's admin listener: one answer for all workers
    merging, merged_answers, events   merge several answers into one
    handover                          passes a connection to the worker with its session

The parent binds the port without listening, to reserve it; it listens only for the admin API. Workers are
started as new programs, not forked, so no event loop is shared.
"""
