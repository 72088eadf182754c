"""Twenty chat records in the canonical form, all of our own making."""

_PAIRS = (
    ("What colour is the sky at noon?", "Blue."),
    ("Name a fruit that is yellow.", "A banana."),
    ("How many legs has a spider?", "Eight."),
    ("What do bees make?", "Honey."),
    ("Which season follows winter?", "Spring."),
    ("What is frozen water called?", "Ice."),
    ("Name the opposite of hot.", "Cold."),
    ("How many days has a week?", "Seven."),
    ("What do you use to write on a blackboard?", "Chalk."),
    ("Which animal says meow?", "A cat."),
    ("What is two plus two?", "Four."),
    ("Name a planet with rings.", "Saturn."),
    ("What do plants need from the sun?", "Light."),
    ("Which bird cannot fly but swims well?", "A penguin."),
    ("What is baked from flour and water?", "Bread."),
    ("Name the month after May.", "June."),
    ("What falls from clouds when it is warm?", "Rain."),
    ("How many sides has a triangle?", "Three."),
    ("Wie heißt „Danke“ auf Englisch?", "“Thank you” — 🙂"),
    ("Which tool drives a nail?", "A hammer."),
)


def tiny_records() -> list[dict]:
    """The records as plain JSON, one user question and one short answer each."""
    return [
        {
            "kind": "chat",
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": answer},
            ],
        }
        for question, answer in _PAIRS
    ]
