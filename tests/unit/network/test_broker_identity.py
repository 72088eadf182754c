import json
import os
import stat
import subprocess
import sys
import sysconfig
from datetime import timedelta
from pathlib import Path

import pytest

from adaptery import base64url, times
from adaptery.errors import IntegrityError, InvalidInputError
from adaptery_network import subjects
from adaptery_network.broker import BrokerConfig, NetworkIdentity, broker_command, jwts, permissions
from adaptery_network.broker.jwts import KeyKind, UserPermissions
from adaptery_network.join import JoinToken, mint_join_token
from support.sealed_parties import AGENT


def secrets_of(identity: NetworkIdentity) -> list[bytes]:
    return [
        path.read_bytes()
        for path in sorted(identity.folder.iterdir())
        if path.suffix in {".nk", ".key"}
    ]


def test_keys_are_made_once_and_kept_private(tmp_path: Path):
    first = NetworkIdentity.load_or_create(tmp_path)
    kept = secrets_of(first)
    second = NetworkIdentity.load_or_create(tmp_path)
    assert secrets_of(second) == kept
    assert (second.owner, second.account_key) == (first.owner, first.account_key)
    assert second.signing_key.public_text == first.signing_key.public_text
    assert len({*kept}) == 8
    for path in first.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(first.folder.stat().st_mode) == 0o700


def test_no_key_is_shown(tmp_path: Path):
    identity = NetworkIdentity.load_or_create(tmp_path)
    shown = repr(identity) + repr(identity.service_credentials())
    for secret in secrets_of(identity):
        assert secret.decode("latin-1") not in shown
        assert repr(secret)[2:-1] not in shown
    assert identity.service_credentials().jwt not in shown


def test_processes_that_start_together_get_the_same_keys(tmp_path: Path):
    code = (
        "import sys, pathlib; from adaptery_network.broker import NetworkIdentity as N;"
        "i = N.load_or_create(pathlib.Path(sys.argv[1])); print(i.owner, i.account_key)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert len({process.communicate(timeout=60)[0] for process in running}) == 1


@pytest.mark.parametrize(
    "name", ["owner", "operator.nk", "service-user.nk", "service-signing.key", "session-master.key"]
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str):
    folder = NetworkIdentity.load_or_create(tmp_path).folder
    (folder / name).write_text("damaged")
    with pytest.raises(IntegrityError, match=name):
        NetworkIdentity.load_or_create(tmp_path)


def test_a_seed_of_another_kind_is_not_accepted(tmp_path: Path):
    folder = NetworkIdentity.load_or_create(tmp_path).folder
    (folder / "account.nk").write_bytes((folder / "service-user.nk").read_bytes())
    with pytest.raises(IntegrityError, match=r"account\.nk"):
        NetworkIdentity.load_or_create(tmp_path)


def allowed(jwt: str) -> tuple[list[str], list[str]]:
    claims = jwts.read_claims(jwt)["nats"]
    assert isinstance(claims, dict)
    return claims["pub"]["allow"], claims["sub"]["allow"]


def test_an_agent_may_speak_only_for_itself(tmp_path: Path):
    identity = NetworkIdentity.load_or_create(tmp_path)
    user = jwts.public_key(jwts.new_seed(KeyKind.USER))
    jwt = identity.agent_jwt(AGENT, user)
    owner = identity.owner
    publish, subscribe = allowed(jwt)
    assert set(publish) == {
        subjects.health(owner, AGENT),
        subjects.report(owner, AGENT),
        subjects.bulk(owner, AGENT),
    }
    assert set(subscribe) == {
        subjects.control(owner, AGENT),
        subjects.infer(owner, AGENT),
        subjects.bulk(owner, AGENT),
        f"_INBOX_{AGENT}.>",
    }
    claims = jwts.verify(jwt, identity.account_key)
    assert claims["sub"] == user
    assert claims["nats"]["resp"] == {"max": 100_000, "ttl": 3600 * 10**9}  # type: ignore[index]


def test_a_join_user_may_only_shake_hands_and_ends(tmp_path: Path):
    identity = NetworkIdentity.load_or_create(tmp_path)
    expires_at = times.now() + timedelta(minutes=10)
    token_id = "jt_01j00000000000000000000006"
    token = mint_join_token(identity, "nats://127.0.0.1:4222", token_id, expires_at)
    claims = jwts.verify(token.jwt, identity.account_key)
    assert allowed(token.jwt) == ([f"ad.{identity.owner}.join"], [f"_INBOX_{token_id}.>"])
    assert "resp" not in claims["nats"]  # type: ignore[operator]
    assert claims["exp"] == int(expires_at.timestamp())


def test_an_empty_allow_list_cannot_be_made():
    with pytest.raises(ValueError, match="everything"):
        UserPermissions(publish=(), subscribe=("a",))


def test_no_user_may_reach_everything(tmp_path: Path):
    owner = NetworkIdentity.load_or_create(tmp_path).owner
    for user in (permissions.agent(owner, AGENT), permissions.service(owner), permissions.system()):
        assert not {">", "*", f"ad.{owner}.>", "_INBOX.>"} & {*user.publish, *user.subscribe}


def test_a_jwt_of_another_issuer_or_a_changed_one_is_refused(tmp_path: Path):
    identity = NetworkIdentity.load_or_create(tmp_path)
    stranger = jwts.new_seed(KeyKind.OPERATOR)
    forged = jwts.account_jwt(stranger, identity.account_key, "x", times.now())
    with pytest.raises(IntegrityError):
        jwts.verify(forged, identity.operator_key)
    header, body, signature = identity.account_jwt().split(".")
    claims = json.loads(base64url.decode(body)) | {"sub": jwts.public_key(stranger)}
    changed = base64url.encode(json.dumps(claims).encode())
    for bad in (f"{header}.{changed}.{signature}", f"{header}.{body}", "", f"{header}.{body}.!"):
        with pytest.raises(IntegrityError):
            jwts.verify(bad, identity.operator_key)


def test_a_user_key_is_told_from_everything_else():
    user = jwts.public_key(jwts.new_seed(KeyKind.USER))
    assert jwts.is_public_key(user, KeyKind.USER)
    assert not jwts.is_public_key(user, KeyKind.ACCOUNT)
    for bad in ("", "U", user[:-1], user[:-2] + "AA", user + "A", "*", ">"):
        assert not jwts.is_public_key(bad, KeyKind.USER)


def test_revocations_stay(tmp_path: Path):
    identity = NetworkIdentity.load_or_create(tmp_path)
    identity.revoke("UA")
    identity.revoke("UB")
    again = NetworkIdentity.load_or_create(tmp_path)
    assert set(again.revocations()) == {"UA", "UB"}
    claims = jwts.read_claims(again.account_jwt())["nats"]
    assert isinstance(claims, dict)
    assert set(claims["revocations"]) == {"UA", "UB"}


def test_the_broker_listens_beyond_loopback_only_with_tls():
    with pytest.raises(InvalidInputError, match="without TLS"):
        BrokerConfig(host="0.0.0.0")
    with pytest.raises(InvalidInputError, match="both"):
        BrokerConfig(tls_certificate=Path("cert.pem"))
    BrokerConfig(host="0.0.0.0", tls_certificate=Path("cert.pem"), tls_key=Path("key.pem"))


def test_the_config_holds_no_secret_and_the_server_accepts_it(tmp_path: Path):
    command = broker_command(tmp_path, 4222)
    assert command[0].startswith(sysconfig.get_path("scripts"))
    config = Path(command[-1])
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    for secret in secrets_of(NetworkIdentity.load_or_create(tmp_path)):
        assert secret not in config.read_bytes()
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stderr
    assert "jetstream" not in config.read_text()


def test_a_join_token_is_one_word_and_survives_pasting(tmp_path: Path):
    identity = NetworkIdentity.load_or_create(tmp_path)
    expires_at = times.now() + timedelta(minutes=10)
    token = mint_join_token(identity, "nats://h:1", "jt_01j00000000000000000000006", expires_at)
    text = token.to_text()
    assert text.startswith("adj_")
    assert len(text.split()) == 1
    assert JoinToken.from_text(f"  {text}\n") == token
    assert token.secret not in repr(token)
    for bad in ("", "adj_", text[:-4], "ak-123", "adj_" + base64url.encode(b'{"url": "x"}')):
        with pytest.raises(InvalidInputError, match="join token"):
            JoinToken.from_text(bad)


def test_files_are_private_whatever_the_umask(tmp_path: Path):
    old = os.umask(0)
    try:
        identity = NetworkIdentity.load_or_create(tmp_path)
        identity.revoke("UA")
        broker_command(tmp_path, 4222)
    finally:
        os.umask(old)
    open_to_others = [
        p for p in identity.folder.rglob("*") if stat.S_IMODE(p.stat().st_mode) & 0o77
    ]
    assert open_to_others == []
