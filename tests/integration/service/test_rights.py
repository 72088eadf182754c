"""Who may do what: scopes by the route table, rights by the one predicate."""

from adaptery_hub.database import tables
from adaptery_hub.routes import all_routes
from support.service import Client, Service, alpaca
from support.shared_things import MISSING, body_of, make_things

WRITES = {"POST", "PUT", "PATCH", "DELETE"}
#: What is sent in a body for its words to stand in no log of addresses.
ONLY_READS = {
    ("POST", "api/datasets/{dataset}/records/search"),
    ("POST", "api/records/lineage"),
    ("POST", "api/datasets/{dataset}/files/{file}/preview"),
}


def operations() -> list[tuple[str, str, str]]:
    return [
        (method, route.template, operation.scope)
        for route in all_routes()
        for method, operation in route.methods.items()
    ]


def filled(template: str) -> str:
    path = template.replace(":path", "")
    while "{" in path:
        path = path[: path.index("{")] + MISSING + path[path.index("}") + 1 :]
    return path


async def test_each_method_checks_its_scope(service: Service) -> None:
    anonymous = service.anonymous()
    every = ("read", "write", "infer", "admin")
    includes = {"write": {"write", "read"}}
    clients = {held: service.client(f"only-{held}", scopes=(held,)) for held in every}
    for method, template, scope in operations():
        path = filled(template)
        answer = await anonymous.request(method, path, json={})
        if scope == "open":
            assert answer.status_code in (200, 404)
            continue
        if scope != "session":  # the page sends to the login, which needs a Hub
            assert answer.status_code == 401, (method, path)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert "location" not in answer.headers
        wanted = set(scope.split("|")) & set(every)
        for held, client in clients.items():
            if wanted and not includes.get(held, {held}) & wanted:
                refused = await client.request(method, path, json={})
                assert refused.status_code == 403, (method, path, held, refused.text)


async def test_a_read_only_token_writes_nowhere(service: Service) -> None:
    reader = service.client("reader", scopes=("read",))
    writes = {
        (method, template)
        for method, template, scope in operations()
        if method in WRITES and scope != "worker"  # which is no scope of users
    }
    writes -= ONLY_READS
    assert len(writes) > 10
    for method, template in writes:
        answer = await reader.request(method, filled(template), json={})
        assert answer.status_code == 403, (method, template)


async def test_every_write_has_a_scope_that_is_more_than_read() -> None:
    for method, template, scope in operations():
        if method in WRITES and (method, template) not in ONLY_READS:
            assert scope in ("write", "infer", "admin", "worker"), (method, template)


def thing_paths() -> list[tuple[str, str]]:
    """Every operation whose path names nothing but things that have an owner."""
    names = {
        "dataset",
        "file",
        "record",
        "version",
        "operation",
        "job",
        "adapter",
        "queue",
        "source",
    }
    return [
        (method, route.template)
        for route in all_routes()
        for method in route.methods
        if route.parameters and set(route.parameters) <= names and "views" not in route.template
    ]


async def test_what_is_not_mine_is_not_there(service: Service, demo: Client, guest: Client) -> None:
    real = await make_things(service, demo)
    missing = {name: thing[:3] + MISSING[3:] for name, thing in real.items()}
    real |= {"source": f"cs_{MISSING[3:]}"}
    missing |= {"record": "1", "queue": "pii", "source": real["source"]}
    walked = thing_paths()
    assert len(walked) > 40
    for method, template in walked:
        answers = []
        for ids in (real, missing):
            answer = await guest.request(method, template.format(**ids), json=body_of(template))
            problem = answer.json()
            assert problem.pop("request_id")
            answers.append((answer.status_code, problem))
        assert answers[0] == answers[1], (method, template)
        assert answers[0][0] == 404, (method, template, answers[0])
    for kind in ("datasets", "jobs", "adapters"):
        assert (await guest.json("GET", f"api/{kind}"))["items"] == []
        await demo.json("GET", f"api/{kind}/{real[kind.removesuffix('s')]}")


async def test_what_one_right_opens_no_other_thing_of_the_owner_follows(
    service: Service, demo: Client, guest: Client
) -> None:
    """With `use` on a dataset nothing is read: every other operation is refused or not there."""
    real = await make_things(service, demo) | {"source": f"cs_{MISSING[3:]}"}
    grant = {"principal": "@guest", "right": "use"}
    await demo.json("PUT", f"api/datasets/{real['dataset']}/grants", json=grant)
    for method, template in thing_paths():
        answer = await guest.request(method, template.format(**real), json=body_of(template))
        of_dataset = "{dataset}" in template or "{version}" in template
        assert answer.status_code == (403 if of_dataset else 404), (method, template)


async def test_a_group_edits_and_its_creator_manages(
    service: Service, demo: Client, colleague: Client, guest: Client
) -> None:
    dataset = await demo.dataset(tenant="radiology")
    path = f"api/datasets/{dataset}"
    assert (await demo.json("GET", path))["right"] == "manage"
    shown = await colleague.json("GET", path)
    assert (shown["right"], shown["full_name"]) == ("edit", "radiology/visits")
    await colleague.upload(dataset, alpaca(3))
    await colleague.json("PATCH", path, json={"description": "ours"})
    problem = await colleague.json("DELETE", path, 403)
    assert problem["code"] == "not_allowed"
    await colleague.json("POST", f"{path}/versions", 403, json={})
    await guest.json("GET", path, 404)
    await guest.json("POST", "api/datasets", 404, json={"name": "x", "tenant": "radiology"})
    left = service.client("demo", groups=())
    await left.json("GET", path, 404)
    await demo.publish(dataset)


async def test_only_the_starter_sees_an_operation(
    service: Service, demo: Client, colleague: Client
) -> None:
    dataset = await demo.dataset(tenant="radiology")
    await demo.upload(dataset, alpaca(3))
    ended = await demo.publish(dataset)
    await colleague.json("GET", f"api/operations/{ended['id']}", 404)
    await colleague.json("DELETE", f"api/operations/{ended['id']}", 404)
    await demo.json("GET", f"api/operations/{ended['id']}")
    left = service.client("demo", groups=())  # what it worked on is theirs no more
    await left.json("GET", f"api/operations/{ended['id']}", 404)
    await left.json("GET", f"api/operations/{ended['id']}/events", 404)


async def test_a_suspended_tenant_is_refused(service: Service, demo: Client) -> None:
    await demo.json("GET", "api/whoami")
    await service.services.db.write(
        lambda c: c.execute(tables.tenants.update().values(state="suspended"))
    )
    assert (await demo.json("GET", "api/whoami", 403))["hint"]


async def test_deletes_and_publishes_ask_the_hub_again(service: Service, demo: Client) -> None:
    dataset = await demo.dataset()
    await demo.upload(dataset, alpaca(3))
    assert service.identities.fresh_checks == 0
    await demo.publish(dataset)
    assert service.identities.fresh_checks == 1
    await demo.delete(f"api/datasets/{dataset}")
    assert service.identities.fresh_checks == 2


async def test_strange_hub_names_become_tenants(service: Service) -> None:
    names = [
        "first.last@example.edu",
        "First.Last@example.edu",
        "/radiology/staff",
        "Zoë",
        "models",
    ]
    prefixes = set()
    for name in names:
        client = service.client(name, groups=("/radiology/staff",))
        me = await client.json("GET", "api/whoami")
        assert me["name"] == name
        prefixes.add(me["tenant"])
        dataset = await client.dataset(f"d{len(prefixes)}", tenant="/radiology/staff")
        shown = await client.json("GET", f"api/datasets/{dataset}")
        assert shown["tenant"] == me["groups"][0]
        again = service.client(name, groups=("/radiology/staff",))
        assert (await again.json("GET", "api/whoami"))["id"] == me["id"]
    assert len(prefixes) == len(names)


async def test_many_first_requests_at_once_mint_one_tenant(service: Service) -> None:
    import asyncio

    clients = [service.client("newcomer", groups=("new-group",)) for _ in range(8)]
    seen = await asyncio.gather(*(client.json("GET", "api/whoami") for client in clients))
    assert len({me["id"] for me in seen}) == 1
