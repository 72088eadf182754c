"""Own keys of adapters, and programs that have nothing else."""

from typing import Any

import sqlalchemy as sa

from support.service import Client, Service

CHAT = "v1/chat/completions"
HELLO = {"messages": [{"role": "user", "content": "hi"}]}


async def make_key(owner: Client, *adapters: str, **fields: Any) -> dict[str, Any]:
    """Make a key of these adapters, as the API tells of it once."""
    body = {"name": "pipeline", "adapters": adapters, **fields}
    return await owner.json("POST", "api/keys", 201, json=body)


def program(service: Service, secret: str) -> Client:
    """Return a program that has only the key."""
    return service.anonymous({"Authorization": f"Bearer {secret}"})


async def new_program(service: Service, owner: Client, *adapters: str, **fields: Any) -> Client:
    """Return a program that has only a new key of these adapters."""
    return program(service, (await make_key(owner, *adapters, **fields))["secret"])


async def model_ids(client: Client) -> list[str]:
    """Return what a client is told that it may ask."""
    return [model["id"] for model in (await client.json("GET", "v1/models"))["data"]]


async def change(service: Service, statement: sa.Executable) -> None:
    """Change the database behind the back of the service, as another replica would."""
    await service.services.db.write(lambda c: c.execute(statement))


async def keep_all(service: Service, table: str) -> None:
    """Let the database refuse to forget any row of a table."""
    refusal = (
        f"CREATE TRIGGER keep_all BEFORE DELETE ON {table} BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    await change(service, sa.text(refusal))
