"""A version for machines: Croissant (what its files hold) and W3C PROV (where they come from).

Both are written by hand: they are small JSON documents, and tests read them with the reference
libraries. Neither holds the content of a record, nor the name of a person; ids are opaque.

Source: Croissant Format Specification 1.0, docs.mlcommons.org/croissant; PROV-JSON, W3C Member
Submission, 24 April 2013.
"""

from __future__ import annotations

from typing import Any

from adaptery.times import to_text
from adaptery_hub.publishing.headings import CollatedFact, Facts, FileFact

CROISSANT_NAME = "croissant.json"
PROV_NAME = "prov.json"
_PARQUET = "application/x-parquet"
_COLUMNS = {
    "position": ("sc:Integer", "Place in the version, from 1."),
    "record_id": ("sc:Text", "SHA-256 of the canonical record."),
    "kind": ("sc:Text", "chat, text, preference or kto."),
    "record": ("sc:Text", "The record as JSON."),
}
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(facts: Facts) -> dict[str, Any]:
    """Return the Croissant document of a version."""
    heading = facts.heading
    files = [*facts.shards, *facts.originals]
    document: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": heading.name,
        "description": heading.description or f"Records of {heading.dataset_name}.",
        "identifier": facts.content_digest,
        "version": f"{heading.number}.0.0",
        "datePublished": to_text(heading.created_at),
        "license": heading.license or "unknown",
        "url": f"urn:adaptery:{heading.version_id}",
        "citeAs": f"{heading.name}, {facts.content_digest}",
        "isLiveDataset": False,
        "distribution": [_file_object(fact) for fact in files],
    }
    document["recordSet"] = [_record_set(fact) for fact in facts.shards if not _is_reference(fact)]
    return document


def prov(facts: Facts) -> dict[str, Any]:
    """Return the provenance of a version as PROV-JSON."""
    heading = facts.heading
    version, activity = f"adaptery:{heading.version_id}", f"adaptery:publish-{heading.version_id}"
    agent = f"adaptery:{heading.creator_id}"
    sources = dict(facts.sources or {})
    used = [
        *(f"adaptery:{source}" for source in sources),
        *map(_original_id, facts.originals),
        *(f"adaptery:{one.id}" for one in facts.collated),
    ]
    moment = to_text(heading.created_at)
    return {
        "prefix": {"adaptery": "urn:adaptery:"},
        "entity": {
            version: {
                "prov:type": "adaptery:version",
                "prov:label": heading.name,
                "adaptery:contentDigest": facts.content_digest,
                "adaptery:records": facts.records,
                "adaptery:sensitivity": heading.sensitivity,
            },
            **{
                f"adaptery:{source}": {
                    "prov:type": "adaptery:version",
                    "adaptery:contentDigest": digest,
                }
                for source, digest in sources.items()
            },
            **{
                _original_id(fact): {
                    "prov:type": "adaptery:file",
                    "adaptery:digest": fact.digest,
                    "adaptery:bytes": fact.bytes,
                }
                for fact in facts.originals
            },
            **{f"adaptery:{one.id}": _collated(one) for one in facts.collated},
        },
        "activity": {
            activity: {
                "prov:startTime": moment,
                "prov:type": "adaptery:merge" if facts.sources is not None else "adaptery:publish",
            }
        },
        "agent": {agent: {"prov:type": "adaptery:tenant"}},
        "wasGeneratedBy": {
            "_:generated": {"prov:entity": version, "prov:activity": activity, "prov:time": moment}
        },
        "wasAssociatedWith": {"_:associated": {"prov:activity": activity, "prov:agent": agent}},
        "wasAttributedTo": {"_:attributed": {"prov:entity": version, "prov:agent": agent}},
        "used": {
            f"_:used{n}": {"prov:activity": activity, "prov:entity": entity}
            for n, entity in enumerate(used)
        },
        "wasDerivedFrom": {
            f"_:derived{n}": {
                "prov:generatedEntity": version,
                "prov:usedEntity": entity,
                "prov:activity": activity,
            }
            for n, entity in enumerate(used)
        },
    }


def _collated(one: CollatedFact) -> dict[str, Any]:
    """Return what is told of collated records to whoever may read the version."""
    named = {} if one.source is None else {"adaptery:source": f"adaptery:{one.source}"}
    return {
        "prov:type": "adaptery:collated",
        "adaptery:from": one.kind,
        "adaptery:digest": one.digest,
        "adaptery:records": one.records,
        **named,
    }


def _original_id(fact: FileFact) -> str:
    return f"adaptery:{fact.path.rpartition('/')[2].partition('.')[0]}"


def _is_reference(fact: FileFact) -> bool:
    return fact.source is not None


def _file_object(fact: FileFact) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": fact.path,
        "name": fact.path.replace("/", "-"),
        "contentUrl": fact.path,
        "contentSize": f"{fact.bytes} B",
        "encodingFormat": _PARQUET if fact.path.endswith(".parquet") else "text/plain",
        "sha256": fact.digest.removeprefix("sha256:"),
    }


def _record_set(fact: FileFact) -> dict[str, Any]:
    name = fact.path.removeprefix("data/").removesuffix(".parquet")
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": column,
                "description": description,
                "dataType": kind,
                "source": {"fileObject": {"@id": fact.path}, "extract": {"column": column}},
            }
            for column, (kind, description) in _COLUMNS.items()
        ],
    }
