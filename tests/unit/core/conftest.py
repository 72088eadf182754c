"""Property tests of core: fewer examples than the default, and no deadline on a busy machine."""

from hypothesis import settings

settings.register_profile("core", max_examples=50, deadline=None)
settings.load_profile("core")
