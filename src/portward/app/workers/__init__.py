"""Several processes on one port: a parent that keeps them alive, and workers that serve.

    supervisor    starts workers, replaces those that die, lets all of them leave
    child         one worker, as the parent sees it
    place         the parent, as a worker sees it
    front         the parent's admin listener: one answer of all workers
    merging, answers, events   how several answers become one
    handover      a connection that came to the wrong worker

The parent binds the port without listening, so that it is kept, and listens to nobody but the admin
API. Workers are programs started anew, not forks: nothing of an event loop is shared.
"""
