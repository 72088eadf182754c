"""The language of a text, by py3langid (its model is inside the package; nothing is downloaded)."""

from __future__ import annotations

from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

#: What is said of a text that is too short, or like no language in particular.
UNDETERMINED = "und"
#: Words that a text needs for a guess that is worth something.
LEAST_CHARACTERS = 30
#: Characters that are looked at: a few are enough for most texts, and time grows with them.
GLANCE_CHARACTERS, LOOK_CHARACTERS = 120, 400
SURE_AT_A_GLANCE = 0.9
SURE_ENOUGH = 0.5
#: Labels of the model for what is no language.
_NO_LANGUAGE = frozenset({"zxx", "mul", "mis"})


def language_of(text: str) -> str:
    """Return the language of a text (ISO 639), or `und`."""
    if len(text) < LEAST_CHARACTERS:
        return UNDETERMINED
    language, sure = _identifier().classify(text[:GLANCE_CHARACTERS])
    if sure < SURE_AT_A_GLANCE and len(text) > GLANCE_CHARACTERS:
        language, sure = _identifier().classify(text[:LOOK_CHARACTERS])
    return UNDETERMINED if sure < SURE_ENOUGH or language in _NO_LANGUAGE else language


@cache
def _identifier() -> LanguageIdentifier:
    # Half a second to load: once a process.
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
