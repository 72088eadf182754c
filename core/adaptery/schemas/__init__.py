"""Schemas of all that crosses a trust boundary: requests, answers, job specs and worker events.

Import from the module of the noun (`adaptery.schemas.jobs`); this package loads none by itself, so
that a worker pays only for the spec.
"""
