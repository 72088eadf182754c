"""One training attempt: from a job spec and a verified dataset version to a PEFT adapter folder.

Start it as a process of its own, `python -m adaptery_training`; it has no API to import. Importing
this package imports no torch.
"""
