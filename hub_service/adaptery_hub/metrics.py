"""Counts and durations of the service, for Prometheus.

Labels are route templates, methods, states and codes: a bounded set, never an id or a name. Other
parts of the service add their own metrics to `Metrics.registry`.
"""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

METRICS_MEDIA = CONTENT_TYPE_LATEST
#: What callers may put into a request line and we into labels and logs.
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
#: Upper bounds of the duration histogram, in seconds: from a cached answer to a long upload.
_DURATION_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600)


class Metrics:
    """The registry of one service and the metrics every request feeds."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "adaptery_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.durations = Histogram(
            "adaptery_http_request_duration_seconds",
            "Time from the first header to the end of the answer.",
            ("method", "route"),
            buckets=_DURATION_BUCKETS,
            registry=self.registry,
        )
        self.errors = Counter(
            "adaptery_errors", "Errors answered, by code.", ("code",), registry=self.registry
        )
        self.upload_bytes = Counter(
            "adaptery_upload_bytes", "Bytes of dataset files received.", registry=self.registry
        )
        self.records_imported = Counter(
            "adaptery_records_imported", "Records imported into drafts.", registry=self.registry
        )
        self.operations = Counter(
            "adaptery_operations",
            "Operations ended, by kind and state.",
            ("kind", "state"),
            registry=self.registry,
        )
        self.clearml_attempts = Counter(
            "adaptery_clearml_attempts",
            "Times that ClearML was told of a version, by what came of it.",
            ("outcome",),
            registry=self.registry,
        )
        self.clearml_waiting = Gauge(
            "adaptery_clearml_waiting",
            "Versions that ClearML shall be told of and was not yet.",
            registry=self.registry,
        )
        self.store_enforced = Gauge(
            "adaptery_store_enforced",
            "Whether the store refused all that the last self-test tried: 1 enforced, 0 integrity "
            "checked.",
            registry=self.registry,
        )
        self.store_tested = Gauge(
            "adaptery_store_tested_timestamp_seconds",
            "When the last self-test of the store ended; 0: not yet.",
            registry=self.registry,
        )
        self.store_answered = Gauge(
            "adaptery_store_answered",
            "Whether the store answered when it was last tried; a folder always does.",
            registry=self.registry,
        )

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        method = method if method in METHODS else "other"
        self.requests.labels(method, route, str(status)).inc()
        self.durations.labels(method, route).observe(seconds)

    def render(self) -> bytes:
        """Return every metric in Prometheus' text format."""
        return generate_latest(self.registry)
