"""The agent of the Hub's own machine: when it is given a token to join with."""

from pathlib import Path

from adaptery.ids import new_id
from adaptery.sealed import sign_card
from adaptery_hub.compute import LOCAL_AGENT_LABEL, _mint_local_token
from adaptery_network.agent_files import AgentFiles
from adaptery_network.join.desk import JoinedAgent
from support.sealed_stage import ScriptedAgent, SealedStage
from support.service import Client


async def test_once_revoked_it_joins_anew_at_the_next_start(
    stage: SealedStage, demo: Client, tmp_path: Path
) -> None:
    agent = ScriptedAgent(stage.identity, stage.bus)
    card = agent.parts.card.model_copy(update={"labels": (LOCAL_AGENT_LABEL,)})
    signed = sign_card(card, stage.identity.signing_key)
    await stage.roster.enrol(JoinedAgent(new_id("jt"), card, signed, agent.parts.user_key))
    membership = tmp_path / "identity" / "membership.json"
    membership.parent.mkdir()
    membership.write_text("{}")
    assert AgentFiles.exist(tmp_path)
    token = tmp_path / "join.token"
    await _mint_local_token(stage.roster, token)
    assert not token.exists()
    me = (await demo.json("GET", "api/whoami"))["id"]
    await stage.roster.revoke(card.agent, me)
    await stage.roster.load()  # as a start does
    await _mint_local_token(stage.roster, token)
    assert token.read_text().startswith("adj_")
    await agent.transport.close()
