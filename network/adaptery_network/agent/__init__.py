"""The daemon of a compute host: takes sealed orders, starts engines and workers as subprocesses.

It dials out to the broker and is reachable in no other way. It never imports torch or
transformers: a worker and an engine are programs that it starts, watches and ends.

    lifecycle -> daemon                    join, connect, come up, go down
    daemon    -> slots -> attempt          orders, and one attempt from order to end
                 attempt -> worker         its process, events and limits
                         -> reporter       events out, lease kept
                         -> transfers      inputs in, checkpoints and adapter out
              -> inference -> residents    requests, and the adapters an engine holds
                           -> engine       its process, and HTTP to it
              -> heartbeats -> load        what the agent says of itself
    below all: config, folders, processes, endings, lines, tasks
"""
