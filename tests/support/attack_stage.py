"""Callers of every kind and things of every kind on a running service, for the attack matrix.

`owner` owns one thing of each kind; the group `radiology` owns another set, made by `owner` too.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from adaptery.ids import new_id
from adaptery.signing import SigningKey
from adaptery.times import now, to_text
from adaptery_hub.database import tables
from adaptery_hub.database.statements import checkpoints
from adaptery_hub.database.statements.checkpoints import Servable
from adaptery_hub.drafts import Draft, DraftSource
from adaptery_hub.fleet.offers import checkpoint_prefix
from support.attack_rules import Caller, Right
from support.hub_tables import BASE, WEIGHTS
from support.service import Client, Service, alpaca
from support.shared_things import make_adapter

GROUP = "radiology"
#: What each right that is given out is called, and to whom it goes.
GRANTED = {"user": "use", "viewer": "view", "editor": "edit", "manager": "manage"}
#: Jobs and adapters know fewer rights than datasets: what is given instead.
INSTEAD = {
    ("adapter", "edit"): "view",
    ("job", "use"): None,
    ("job", "edit"): "view",
}
RIGHT_OF = {"use": Right.USE, "view": Right.VIEW, "edit": Right.EDIT, "manage": Right.MANAGE}
KINDS = ("dataset", "job", "adapter")
ADMIN = frozenset({"read", "write", "infer", "admin"})
STEP = 10
CHAT = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}


@dataclass(frozen=True)
class Things:
    """Ids and names of one set of things."""

    ids: dict[str, str]
    tenant: str  # as names begin
    name: str  # of the adapter

    @property
    def model(self) -> str:
        return f"{self.tenant}/{self.name}"

    def path(self, template: str) -> str:
        """Return the path of an operation on these things."""
        bound = {"tenant": self.tenant, "adapter": self.name}
        names = bound if template.startswith("a/") else self.ids
        pinned = f"{self.model}@1".replace("/", "%2F")
        theirs = {
            "training_file": f"file-{self.ids['dataset'][3:]}",
            "fine_tuning_job": f"ftjob-{self.ids.get('job', '')[3:]}",
        }
        return template.replace("{name:path}", pinned).format(**names, **theirs)

    def body(self, method: str, template: str) -> dict[str, object]:
        """Return a body that is right."""
        match method, template.rpartition("/")[2]:
            case _, "completions" if template.endswith("chat/completions"):
                return {"model": self.model, **CHAT}
            case _, "completions":
                return {"model": self.model, "prompt": "hi", "max_tokens": 1}
            case _, "offer":
                return {"model": self.model, "caller_key": SigningKey.generate().public_text}
            case "POST", _ if template.startswith("lorax"):
                asked = {"adapter_id": self.model, "max_new_tokens": 1}
                return {"inputs": "hi", "parameters": asked}
            case "PUT", "grants":
                return {"principal": "@bystander", "right": "view"}
            case "POST", "jobs" if template.startswith("v1"):
                return {"model": BASE, "training_file": f"file-{self.ids['dataset'][3:]}"}
            case "POST", "jobs":
                return {"name": "again", "dataset": self.ids["version"]}
            case "POST", "preflight" | "batch":
                return {"dataset": self.ids["version"]}
            case "POST", "keys":
                return {"name": "again", "adapters": [self.ids["adapter"]]}
            case "POST", "bulk":
                return {"action": "split", "records": ["1"], "split": "test"}
            case "POST", "forget":
                return {"record": "1"}
            case "POST", "erase":
                return {"name": "another"}  # refused, after the right was looked at
            case "POST", "collate":
                return {"sources": [{"version": self.ids["version"]}]}
            case "POST", "merges":
                return {"sources": [{"version": self.ids["version"]}]}
            case "POST", "preview":
                return {"mapping": {"format": "alpaca", "container": "json"}}
            case "POST", "review":
                return {"queues": ["exact"]}
            case "POST", "decisions":
                return {"all": True, "decision": "ignore"}
            case "POST", "withdraw":
                return {"reason": "consent was taken back"}
            case "POST", "records":
                return {"record": {"kind": "text", "text": "x"}}
            case "PATCH", "{record}":
                return {"record": {"kind": "text", "text": "y"}}
            case "PATCH", "{dataset}":
                return {"description": "x"}
            case _:
                return {}

    def named(self, field: str) -> str:
        """Return what names one of these things in a field of a body."""
        match field:
            case "validation":
                return self.ids["version"]
            case "cloned_from":
                return self.ids["job"]
            case "validation_file":
                return f"file-{self.ids['dataset'][3:]}"
            case _:
                return f"{self.model}@1"

    def query(self, method: str, template: str) -> dict[str, str]:
        """Return the query parameters that the operation needs."""
        match method, template.rpartition("/")[2]:
            case "DELETE", "grants":
                return {"principal": "@viewer"}
            case "GET", "diff":
                return {"from": self.ids["version"]}
            case "GET", "export":
                return {"format": "alpaca", "container": "json"}
            case _:
                return {}


@dataclass
class Stage:
    """The running service with its callers."""

    service: Service
    clients: dict[str, Client] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    number: int = 0

    def user(self, name: str, *scopes: str, groups: tuple[str, ...] = ()) -> Client:
        """Return a client of a user, made once for each set of scopes."""
        label = f"{name}:{','.join(scopes)}"
        if label not in self.clients:
            held = scopes or ("read", "write", "infer")
            self.clients[label] = self.service.client(name, groups=groups, scopes=held)
        return self.clients[label]

    @property
    def owner(self) -> Client:
        return self.user("owner", groups=(GROUP,))

    async def things(self, group: bool = False, only: str = "") -> Things:
        """Make one thing of each kind, shared with those who have a right by a grant.

        Args:
            group: whether they are the group's.
            only: `dataset` makes a dataset with all that is in it, and nothing else.
        """
        self.number += 1
        name, owner = f"secret{self.number}", self.owner
        ids = await self._dataset(name, {"tenant": GROUP} if group else {})
        if only != "dataset":
            ids |= await self._trained(name, ids["version"])
        if group and "adapter" in ids:
            await self._hand_to_group(ids["adapter"])
        if not group:
            await self._share(ids)
        prefix = GROUP if group else (await owner.json("GET", "api/whoami"))["tenant"]
        return Things(ids, prefix, name)

    async def common(self) -> Things:
        """Make a dataset that everyone may view."""
        self.number += 1
        ids = await self._dataset(f"common{self.number}", {})
        for user in (*GRANTED, "unrelated", "member", "revoked", "admin"):
            await self._give(f"api/datasets/{ids['dataset']}/grants", user, "view")
        return Things(ids, "", "")

    async def _dataset(self, name: str, tenant: dict[str, str]) -> dict[str, str]:
        dataset = await self.owner.dataset(name, **tenant)
        file = await self.owner.upload(dataset, alpaca(3))
        ended = await self.owner.publish(dataset)
        return {
            "dataset": dataset,
            "file": file["id"],
            "record": "1",
            "queue": "pii",
            "source": await self._curated(dataset),
            "version": ended["result"]["version"]["id"],
            "operation": ended["id"],
        }

    async def _trained(self, name: str, version: str) -> dict[str, str]:
        owner, body = self.owner, {"name": name, "dataset": version}
        job = (await owner.json("POST", "api/jobs", 201, json=body))["id"]
        adapter = await make_adapter(self.service, owner, job, name)
        key = await owner.json("POST", "api/keys", 201, json={"name": name, "adapters": [adapter]})
        await self._checkpoint(job)
        return {"job": job, "adapter": adapter, "key": key["id"], "step": str(STEP)}

    async def _checkpoint(self, job: str) -> None:
        """Put a checkpoint of a job that can be served where training would."""
        attempt = new_id("at")
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "adapter_config.json").write_text("{}")
            prefix = checkpoint_prefix(job, attempt, STEP)
            self.service.services.objects.put_folder(prefix, Path(folder))
        await self.service.services.db.write(
            lambda c: checkpoints.put(
                c,
                job_id=job,
                attempt_id=attempt,
                step=STEP,
                digest=WEIGHTS,
                files=[{"path": "adapter_config.json", "bytes": 2, "digest": WEIGHTS}],
                metrics=None,
                servable=Servable(WEIGHTS, "chat", 8, "internal", [WEIGHTS]),
                now=now(),
            )
        )

    async def _curated(self, dataset: str) -> str:
        """Collate a source into a draft and count its tokens; return the id of the source."""
        source = DraftSource(
            new_id("cs"), now(), "tn_x", "dataset", "ds_x", "@x/x", f"sha256:{'0' * 64}", 1, 1, {}
        )
        counted = {"base_model": "gone", "exact": False}

        def change(draft: Draft) -> None:
            draft.add_source(source)
            draft.findings.end("lengths", to_text(now()), counted, {})

        await self.service.services.drafts.write(dataset, change)
        return source.id

    async def _hand_to_group(self, adapter: str) -> None:
        table = tables.tenants
        group = sa.select(table.c.id).where(table.c.kind == "group", table.c.hub_name == GROUP)
        change = tables.adapters.update().where(tables.adapters.c.id == adapter)
        values = {"tenant_id": group.scalar_subquery()}
        await self.service.services.db.write(lambda c: c.execute(change.values(values)))

    async def _share(self, ids: dict[str, str]) -> None:
        for kind in (kind for kind in KINDS if kind in ids):
            path = f"api/{kind}s/{ids[kind]}/grants"
            for user, right in GRANTED.items():
                given = INSTEAD.get((kind, right), right)
                if given is not None:
                    await self._give(path, user, given)
            await self._give(path, "revoked", "manage")
            await self.owner.json("DELETE", path, 204, params={"principal": "@revoked"})

    async def _give(self, path: str, user: str, right: str) -> None:
        if user not in self.known:  # who has not come has no short name yet
            await self.user(user).json("GET", "api/whoami")
            self.known.add(user)
        body = {"principal": f"@{user}", "right": right}
        await self.owner.json("PUT", path, json=body)

    async def callers(self, things: Things) -> list[tuple[Caller, Client]]:
        """Return everyone who could ask for these things, which `owner` owns."""
        everything = dict.fromkeys((*KINDS, "key", "operation"), Right.MANAGE)
        found = [
            (Caller("anonymous", known=False), self.service.anonymous()),
            (Caller("unknown token", known=False), self._bearer("nobody")),
            (Caller("half a key", known=False), self._bearer("ak-abc")),
            (Caller("unrelated user"), self.user("unrelated")),
            (Caller("member of a group"), self.user("member", groups=(GROUP,))),
            (Caller("owner", rights=everything), self.owner),
            (Caller("revoked"), self.user("revoked")),
            (Caller("admin", scopes=ADMIN), self.admin),
            *(
                (Caller(user, rights=_granted(right)), self.user(user))
                for user, right in GRANTED.items()
            ),
            *(
                (
                    Caller(f"owner, {scope} only", True, frozenset({scope}), everything),
                    self.user("owner", scope, groups=(GROUP,)),
                )
                for scope in ("read", "write", "infer", "admin")
            ),
        ]
        return found + await self._key_callers(things)

    @property
    def admin(self) -> Client:
        return self.user("admin", "read", "write", "infer", "admin")

    async def _key_callers(self, things: Things) -> list[tuple[Caller, Client]]:
        verbs = frozenset({"read", "infer"})
        mine = {"adapter": Right.USE}
        strange, body = self.user("unrelated"), {"name": "a", "dataset": things.ids["version"]}
        job = (await self.owner.json("POST", "api/jobs", 201, json=body))["id"]
        other = await make_adapter(self.service, self.owner, job, f"other{self.number}")
        theirs = await make_adapter(self.service, strange, job, f"theirs{self.number}")
        adapter = things.ids["adapter"]
        key, narrow = await self._key(self.owner, adapter), await self._key(self.owner, other)
        silent = await self._key(self.owner, adapter, verbs=["read"])
        expired = await self._key(self.owner, adapter)
        revoked = await self._key(self.owner, adapter)
        await self._expire(expired["id"])
        await self.owner.json("DELETE", f"api/keys/{revoked['id']}", 204)
        foreign = await self._key(strange, theirs)
        return [
            (Caller("own key", True, verbs, mine, key=True), self._bearer(key["secret"])),
            (Caller("narrow key", True, verbs, key=True), self._bearer(narrow["secret"])),
            (
                Caller("key that only reads", True, frozenset({"read"}), mine, key=True),
                self._bearer(silent["secret"]),
            ),
            (Caller("another's key", True, verbs, key=True), self._bearer(foreign["secret"])),
            (Caller("expired key", known=False), self._bearer(expired["secret"])),
            (Caller("revoked key", known=False), self._bearer(revoked["secret"])),
        ]

    async def _key(self, owner: Client, adapter: str, **fields: object) -> dict[str, str]:
        self.number += 1
        body = {"name": f"key {self.number}", "adapters": [adapter], **fields}
        return await owner.json("POST", "api/keys", 201, json=body)

    async def _expire(self, key: str) -> None:
        keys = tables.keys
        past = now() - timedelta(seconds=1)
        change = keys.update().where(keys.c.id == key).values(expires_at=past)
        await self.service.services.db.write(lambda c: c.execute(change))

    def _bearer(self, secret: str) -> Client:
        return self.service.anonymous({"Authorization": f"Bearer {secret}"})


def _granted(right: str) -> dict[str, Right]:
    given = {kind: INSTEAD.get((kind, right), right) for kind in KINDS}
    return {kind: RIGHT_OF[name] for kind, name in given.items() if name is not None}
