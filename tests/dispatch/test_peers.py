from collections import Counter

from service.dispatch.peers import ACTIVE_SECONDS, Peers

IDS = [f"execution-{number}" for number in range(3_000)]


def test_who_is_alone_gives_everything() -> None:
    assert all(Peers("a").is_ours(id_) for id_ in IDS)


def test_each_execution_is_given_by_one_of_those_that_know_of_each_other() -> None:
    names = ("a", "b", "c")
    peers = {name: Peers(name) for name in names}
    for one in peers.values():
        for other in peers.values():
            one.saw(other.claim_id("x"), 0)
    share = Counter(name for id_ in IDS for name in names if peers[name].is_ours(id_))
    assert sum(share.values()) == len(IDS)
    assert all(800 < count < 1_200 for count in share.values())


def test_who_was_not_seen_for_long_is_not_reckoned_with() -> None:
    one = Peers("a")
    one.saw(Peers("b").claim_id("x"), 5)
    one.look(5 + ACTIVE_SECONDS - 1)
    assert not all(one.is_ours(id_) for id_ in IDS)
    one.look(5 + ACTIVE_SECONDS)
    assert all(one.is_ours(id_) for id_ in IDS)


def test_what_others_call_their_commands_says_nothing() -> None:
    one = Peers("a")
    for id_ in ("", "claim", "claim/b", "claims/b/x", "/claim/b/x", one.claim_id("x")):
        one.saw(id_, 0)
    assert all(one.is_ours(id_) for id_ in IDS)
