"""ClearML (extra): versions as ClearML Datasets of links, and jobs that its workers train.

links, addresses        what ClearML is told of versions
carrier                 takes jobs through its queues
workers                 lets its workers in
carriage, choosing      both, as the settings say
program                 runs `register` and `carry` as a child with a deadline

The service itself never imports `clearml`; the child does.
"""
